#!/usr/bin/env bash
# Set up, run the named parts of the tests (all of them when none is named), and leave the machine as it was found.
#   CI=true makes a missing container engine an error.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/lib.sh
started=$(date +%s.%N)
# Each of the many processes that tests start would compile all of it again: half a second of processor time each.
unset PYTHONDONTWRITEBYTECODE
venv=${VENV:-.venv}

tools/setup.sh "$venv" "requirements/salt-${SALT:-3008}.txt" test

leave() {
  # What the demo left running is still wanted; a sandbox has its own state there.
  if [ "${engine_was_ours:-no}" = no ]; then tools/engine.sh down; fi
}
parts=${*:-lint unit functional packaging integration images formulas e2e}
case " $parts " in *" functional "*) ensure_browser; ensure_file_tools; ensure_backup_tools ;; esac
case " $parts " in
  *" formulas "* | *" e2e "*)
    tools/engine.sh ours && engine_was_ours=yes
    trap leave EXIT
    # In a variable, not through tee: opened by name, a stderr that is a file would be emptied.
    said=$(tools/engine.sh up 2>&1) && engine=yes || engine=no
    [ -z "$said" ] || printf '%s\n' "$said" >&2
    if [ "$engine" = no ]; then
      [ "${CI:-}" != true ] || { echo "saltlick: under CI=true a container engine is required" >&2; exit 1; }
      why=$(printf '%s\n' "$said" | tail -n 1)
      export SALTLICK_NO_ENGINE=${why#saltlick: no container engine: }
    elif as_root "$PWD/$venv/bin/saltlick" sandbox status >/dev/null 2>&1; then
      # Two sandboxes cannot have the same networks, and the tests build the same estate as the demo.
      say "stopping the sandbox that was left running (make demo brings it back)"
      as_root "$PWD/$venv/bin/saltlick" sandbox down >/dev/null
    fi
    ;;
esac
"$venv/bin/python" -m tools.check --started "$started" $parts
