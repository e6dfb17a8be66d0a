#!/bin/sh
# Written by Salt: salt/app.
# build-release SOURCE RELEASES PYTHON REQUIREMENTS: the checkout's commit, with its packages, in RELEASES/<commit>.
set -eu

source=$1 releases=$2 python=$3 requirements=$4
revision=$(git -C "$source" rev-parse HEAD)
release=$releases/$revision

rm -rf "$release"
mkdir -p "$release"
git -C "$source" archive "$revision" | tar -x -f - -C "$release"
"$python" -m venv "$release/.venv"
if [ -e "$release/$requirements" ]; then
    "$release/.venv/bin/pip" install --quiet --disable-pip-version-check -r "$release/$requirements"
fi
date -u +%Y-%m-%dT%H:%M:%SZ > "$release/REVISION_TIME"
echo "$revision" > "$release/REVISION"
