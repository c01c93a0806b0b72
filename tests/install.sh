#!/bin/sh
# Installs what the Python tests need into the virtual environment given (default .venv), and beside
# it, in pinned/, the Planchet client with the old requests that it pins. Can be run again.
set -eu
cd "$(dirname "$0")/.."
venv=${1:-.venv}
[ -x "$venv/bin/pip" ] || python3 -m venv "$venv"
pip="$venv/bin/pip --disable-pip-version-check -q"
stamp="$venv/tests-installed"
want=$(cat tests/requirements*.txt | sha256sum)
if [ "$(cat "$stamp" 2>/dev/null)" = "$want" ]; then
    exit 0
fi
$pip install -r tests/requirements.txt
$pip install --no-deps -r tests/requirements-nodeps.txt
rm -rf "$venv/pinned"
$pip install --target "$venv/pinned" -r tests/requirements-pinned.txt
echo "$want" >"$stamp"
