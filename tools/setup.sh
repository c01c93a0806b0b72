#!/bin/sh
# setup.sh [SECTION...]: installs what the named sections of packages.txt list and this machine
# lacks (default: build), and the Python packages that `demo`, `test` and `bench` need. Says what it does;
# run again, it does nothing and needs no network when nothing is missing.
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- build

say() { printf 'setup: %s\n' "$*"; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

# The names listed under one [section] of packages.txt.
packages_of() {
    awk -v wanted="[$1]" '/^\[/ { here = ($1 == wanted); next } here && NF && $1 !~ /^#/ { print $1 }' \
        packages.txt
}

installed() {
    dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'
}

install_packages() {
    missing=
    for section in "$@"; do
        for package in $(packages_of "$section"); do
            case " $missing " in *" $package "*) continue ;; esac
            installed "$package" || missing="$missing $package"
        done
    done
    if [ -z "$missing" ]; then
        say "Debian packages for $*: all here"
        return
    fi
    say "installing Debian packages:$missing"
    as_root apt-get update -q >/dev/null || say "apt-get update failed, going on with the old lists"
    # shellcheck disable=SC2086 # a list of words
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq -o Dpkg::Use-Pty=0 \
        --no-install-recommends $missing >/dev/null
}

# Debian's python3, whatever else the PATH offers: the tests run what users of Debian 12 have.
new_venv() {
    [ -x "$1/bin/python" ] || /usr/bin/python3 -m venv "$1"
}

# install_venv VENV LIST WHOSE: packages that are somebody's own; installed again when the list changed.
install_venv() {
    sum=$(sha256sum <"$2")
    if [ "$(cat "$1/installed" 2>/dev/null)" = "$sum" ]; then
        say "Python packages of $3: all here"
        return
    fi
    say "installing Python packages of $3 into $1"
    new_venv "$1"
    "$1/bin/pip" install -q -r "$2"
    echo "$sum" >"$1/installed"
}

install_packages "$@"
for section in "$@"; do
    case $section in
    demo) install_venv .venv-planchet demo/requirements.txt "the demo" ;;
    demo-queue) install_venv .venv-openaleph demo/requirements-queue.txt "the demo" ;;
    demo-flow) install_venv .venv-flow demo/requirements-flow.txt "the demo" ;;
    demo-steps) install_venv .venv-pinexq demo/requirements-steps.txt "the demo" ;;
    test | bench)
        say "Python packages of the tests, in .venv"
        new_venv .venv
        tests/install.sh .venv
        ;;
    esac
    if [ "$section" = bench ]; then
        install_venv .venv-peers bench/requirements-peers.txt "the queue's peer"
        install_venv .venv-pinexq demo/requirements-steps.txt "the steps' client"
        install_venv .venv-flow-peers bench/requirements-flow.txt "the flows' peers"
    fi
done
