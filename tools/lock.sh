#!/bin/sh
# Resolve every dependency anew: constraints.txt (versions, for the image and for users) and
# requirements/{run,dev}.txt (versions and hashes of every platform's files, for `make setup`).
# No file names the registry that the packages came from.
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet uv
# What builds the editable install is locked with the rest: there is no build in isolation.
sed -n 's/^requires = \[\(.*\)\]$/\1/p' pyproject.toml | tr -d '" ' > "$work/build.in"
echo editables >> "$work/build.in" # what hatchling builds an editable install with

resolve() { # FILE OPTION...: pins in FILE are kept unless UPGRADE=1
    file=$1; shift
    { cat tools/lock-header.txt; } > "$work/out"
    [ -n "${UPGRADE-}" ] || [ ! -f "$file" ] || cp "$file" "$work/$(basename "$file")"
    "$work/venv/bin/uv" pip compile --quiet --native-tls --universal --python-version 3.11 \
        --no-header --no-annotate ${UPGRADE:+--upgrade} "$@" \
        pyproject.toml "$work/build.in" --output-file "$work/$(basename "$file")" > /dev/null
    cat "$work/$(basename "$file")" >> "$work/out"
    cp "$work/out" "$file"
}

resolve requirements/dev.txt --extra dev --generate-hashes
# The others take their versions from the first, with the markers that tell one from the other.
sed -n 's/^\([A-Za-z0-9._-]*==[^\\]*\).*/\1/p' requirements/dev.txt > "$work/pins.txt"
resolve requirements/run.txt --generate-hashes --constraints "$work/pins.txt"
resolve constraints.txt --extra dev --constraints "$work/pins.txt"
echo "locked $(grep -c == constraints.txt) packages"
