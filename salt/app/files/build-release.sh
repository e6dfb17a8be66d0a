#!/bin/sh
# Written by Salt: salt/app.
# build-release SOURCE RELEASES PYTHON REQUIREMENTS: the checkout's commit, with its packages, in RELEASES/<commit>. All of its
# files are there, those of submodules too, without history and as old as the commit is, as the module `revision` lays them out.
set -eu
umask 022

source=$1 releases=$2 python=$3 requirements=$4
revision=$(git -C "$source" rev-parse HEAD)
release=$releases/$revision

rm -rf "$release"
git clone --quiet --shared --no-checkout "$source" "$release"
git -C "$release" checkout --quiet --force --detach "$revision"
if [ -e "$release/.gitmodules" ]; then
    repository=$(git -C "$source" config remote.origin.url || echo "$source")
    git -C "$release" -c remote.origin.url="$repository" submodule --quiet update --init --recursive
fi
find "$release" -name .git -prune -exec rm -rf {} +
find "$release" -exec touch -h -t "$(git -C "$source" show -s --format=%cd --date=format-local:%Y%m%d%H%M.%S "$revision")" {} +
"$python" -m venv "$release/.venv"
if [ -e "$release/$requirements" ]; then
    "$release/.venv/bin/pip" install --quiet --disable-pip-version-check -r "$release/$requirements"
fi
date -u +%Y-%m-%dT%H:%M:%SZ > "$release/REVISION_TIME"
echo "$revision" > "$release/REVISION"
