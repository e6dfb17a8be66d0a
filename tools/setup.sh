#!/usr/bin/env bash
# Make (or keep) a virtual environment with this project and everything its extras name.
#
#   tools/setup.sh <venv> <constraints> <extras>
#
# A stamp in the environment holds what it was made from, so that the second time costs nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/lib.sh

venv=$1 constraints=$2 extras=$3
python=$(find_python "${PYTHON:-}" "$constraints")
want=$( { cat pyproject.toml "$constraints" tools/setup.sh; "$python" -VV; pwd; echo "$extras"; } | cksum)
stamp=$venv/.stamp-$extras
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ] && "$venv/bin/python" -c 'import saltlick' 2>/dev/null; then
  exit 0
fi

say "setting up $venv ($("$python" -V), $(basename "$constraints" .txt), extras: $extras): a few minutes the first time"
ensure_venv_module "$python"
ensure_compiler "$python"
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
mkdir -p .cache
log=.cache/$(basename "$venv")-setup.log
operators=${PIP_CONSTRAINT:-}
export PIP_DISABLE_PIP_VERSION_CHECK=1
# uv does in seconds what takes pip minutes. It reads no configuration of pip's, so it is told the index; where it fails for
# whatever reason, pip does it.
with_uv() {
  local index
  "$venv/bin/python" -m pip install --quiet 'uv>=0.5' || return
  index=${PIP_INDEX_URL:-$("$venv/bin/python" -m pip config get global.index-url 2>/dev/null || true)}
  env ${index:+UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$index}"} ${operators:+UV_CONSTRAINT="$operators"} \
    "$venv/bin/uv" pip install --no-progress --python "$venv/bin/python" \
    --constraint "$constraints" --build-constraint "$constraints" --editable ".[$extras]"
}
# Both spellings: pip before 25.3 hands constraints on to builds by itself, later ones want their own option. What the
# operator set stays in force; ours come on top.
with_pip() {
  PIP_CONSTRAINT="${operators:+$operators }$PWD/$constraints" PIP_BUILD_CONSTRAINT="${operators:+$operators }$PWD/$constraints" \
    "$venv/bin/python" -m pip install --no-compile --editable ".[$extras]"
}
with_uv >"$log" 2>&1 || { say "uv did not install it (why: $log); now by pip" && with_pip >>"$log" 2>&1; } ||
  fail_with_log "installing into $venv" "$log"
echo "$want" >"$stamp"
