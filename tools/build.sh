#!/bin/sh
# build.sh FOLDER [MESON OPTION...]: configures the folder when it is new or its options changed,
# then builds it. Says what it does; says little when nothing is to do.
set -eu
cd "$(dirname "$0")/.."
folder=$1
shift
wanted="CC=${CC:-gcc} $*"
if [ ! -f "$folder/build.ninja" ]; then
    echo "build: setting up $folder ($wanted)"
    CC=${CC:-gcc} meson setup "$folder" "$@" >/dev/null ||
        { cat "$folder/meson-logs/meson-log.txt" >&2; exit 1; }
elif [ "$(cat "$folder/.options" 2>/dev/null)" != "$wanted" ]; then
    echo "build: setting up $folder again ($wanted)"
    meson configure "$folder" "$@" >/dev/null
fi
echo "$wanted" >"$folder/.options"
echo "build: $folder"
log=$folder/build.log
ninja -C "$folder" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
tail -n 1 "$log"
