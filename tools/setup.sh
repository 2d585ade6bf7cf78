#!/bin/sh
# Make .venv ready: `tools/setup.sh run` for running Tidemill, `tools/setup.sh dev` for its tests too.
# Pinned versions, files checked by hash. The second time it finds nothing to do and says nothing.
set -eu
cd "$(dirname "$0")/.."
kind=${1:?"usage: tools/setup.sh run|dev"}
python=${PYTHON:-python3}
venv=${VENV:-.venv}

fail() { echo "setup: $1" >&2; exit 1; }

# A stamp holds what was installed; dev covers run.
wanted=$(cat pyproject.toml requirements/"$kind".txt | cksum)
for stamp in "$venv/.tidemill-$kind" "$venv/.tidemill-dev"; do
    if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && "$venv/bin/python" -c '' 2>/dev/null; then
        exit 0
    fi
done
if [ "$kind" = run ] && [ -x "$venv/bin/python" ]; then
    dev=$(cat pyproject.toml requirements/dev.txt | cksum)
    [ "$(cat "$venv/.tidemill-dev" 2>/dev/null)" != "$dev" ] || exit 0
fi

command -v "$python" > /dev/null || fail "Python 3.11 or newer is needed: $python is not there"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "Python 3.11 or newer is needed: $python is $("$python" --version 2>&1); set PYTHON=..."
if ! "$venv/bin/python" -m pip --version > /dev/null 2>&1; then
    echo "setup: making $venv"
    rm -rf "$venv"
    "$python" -m venv "$venv" || {
        rm -rf "$venv"
        fail "this Python cannot make environments (on Debian: apt-get install python3-venv)"
    }
fi
echo "setup: installing what is needed to $kind (pinned, checked by hash)"
pip="$venv/bin/python -m pip install --quiet --disable-pip-version-check"
# The lists are complete, so nothing is resolved. Bytecode is made when a module is first used: the
# Kubernetes client alone has a thousand.
$pip --no-compile --no-deps --require-hashes --requirement requirements/"$kind".txt
$pip --no-compile --no-deps --no-build-isolation --editable .
echo "$wanted" > "$venv/.tidemill-$kind"
