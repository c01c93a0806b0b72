#!/bin/sh
# Fuzzes every target in turn: tests/fuzz/run.sh SECONDS [NOUN...]
#
# Builds with clang in build-fuzz (or $BUILD). New inputs are kept there from run to run; what makes a
# target fail is in build-fuzz/findings. Ends with 1 when something was found.
set -eu

seconds=${1:?usage: tests/fuzz/run.sh SECONDS [NOUN...]}
shift
cd "$(dirname "$0")/../.."
build=${BUILD:-build-fuzz}

if [ ! -f "$build/build.ninja" ]; then
    CC=clang meson setup "$build" -Dfuzzers=true -Db_lundef=false
fi
if [ $# -eq 0 ]; then
    for source in tests/fuzz/fuzz_*.c; do
        noun=${source#tests/fuzz/fuzz_}
        set -- "$@" "${noun%.c}"
    done
fi

found=0
mkdir -p "$build/findings"
for noun in "$@"; do
    ninja -C "$build" "tests/fuzz/fuzz_$noun"
    mkdir -p "$build/corpus/$noun"
    echo "== fuzz_$noun for $seconds s"
    "$build/tests/fuzz/fuzz_$noun" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 \
        -print_final_stats=1 -artifact_prefix="$build/findings/$noun-" \
        "$build/corpus/$noun" "tests/fuzz/corpus/$noun" || found=1
done
if [ $found -ne 0 ]; then
    echo "== a target failed; its input is in $build/findings" >&2
fi
exit $found
