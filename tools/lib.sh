# Shared by the scripts beside this file: sourced, never run.

say() { printf '\033[2msaltlick:\033[0m %s\n' "$*" >&2; }

fail_with_log() { # what, log file
  { echo "saltlick: FAILED: $1. Last lines of $2:"; tail -n 25 "$2" | sed 's/^/    /'; } >&2
  exit 1
}

# The words that make a command run as root here: nothing for root, "sudo -n" where that asks no password.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

may_install() {
  command -v apt-get >/dev/null 2>&1 || return 1
  [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null
}

install_packages() { # Debian packages by name
  mkdir -p .cache
  say "installing from Debian's packages: $*"
  { as_root apt-get update -q &&
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"; } \
    >.cache/apt.log 2>&1 || fail_with_log "apt-get install $*" .cache/apt.log
}

# The interpreter to use: the asked one, or the first that the constrained Salt line runs on.
find_python() { # asked or empty, constraints file
  local candidates="python3 python3.13 python3.12 python3.11 python3.10" newest=13 found
  case $2 in *3006*) candidates="python3.11 python3.10 python3" newest=11 ;; esac
  for found in ${1:-$candidates}; do
    if "$found" -c "import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, $newest))" 2>/dev/null; then
      "$found" -c 'import sys; print(sys.executable)'
      return
    fi
  done
  echo "saltlick: no Python from 3.10 to 3.$newest found (looked for: ${1:-$candidates}); install one or say PYTHON=/path/to/python" >&2
  exit 1
}

ensure_venv_module() { # python
  "$1" -c 'import venv, ensurepip' 2>/dev/null && return
  may_install || { echo "saltlick: $1 has no venv module and this account may not install it (Debian: apt install python3-venv)" >&2; exit 1; }
  install_packages python3-venv
}

# One of Salt's dependencies (timelib) is a C extension without wheels for some Python versions.
ensure_compiler() { # python
  command -v cc >/dev/null 2>&1 &&
    "$1" -c 'import sysconfig, os, sys; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' && return
  may_install || { say "no C compiler or no Python headers: the install may fail on a dependency of Salt (Debian: apt install gcc libc6-dev python3-dev)"; return; }
  install_packages gcc libc6-dev python3-dev
}

# The browser that the release's page is looked at in. Where there is none and none may be installed, those tests are skipped
# by name; under CI=true they fail.
ensure_browser() {
  local name
  for name in chromium chromium-browser google-chrome google-chrome-stable chrome; do
    command -v "$name" >/dev/null 2>&1 && return
  done
  if may_install && (install_packages chromium); then return; fi
  [ "${CI:-}" != true ] || { echo "saltlick: under CI=true a Chromium is required (Debian: apt install chromium)" >&2; exit 1; }
  say "no Chromium: the tests that need one are skipped (Debian: apt install chromium)"
}

# What tests of backed up folders make and compare: ACLs, extended attributes, capabilities, and a real rsync daemon. Where they
# are not and may not be installed, those tests are skipped by name; under CI=true that is an error.
ensure_file_tools() {
  local name lacking=
  for name in rsync setfacl setfattr setcap; do
    PATH=$PATH:/usr/sbin:/sbin command -v "$name" >/dev/null 2>&1 || lacking="$lacking $name"
  done
  [ -n "$lacking" ] || return 0
  if may_install && (install_packages acl attr libcap2-bin rsync); then return; fi
  [ "${CI:-}" != true ] ||
    { echo "saltlick: under CI=true these are required:$lacking (Debian: apt install acl attr libcap2-bin rsync)" >&2; exit 1; }
  say "without$lacking the tests of backed up folders are skipped (Debian: apt install acl attr libcap2-bin rsync)"
}

# What tests of backups run for real: rclone, and PostgreSQL's programs. Its package would make a cluster and start it: it is told
# not to, unless this machine has said something about that already.
ensure_backup_tools() {
  local lacking=
  command -v rclone >/dev/null 2>&1 || lacking="$lacking rclone"
  ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || lacking="$lacking postgresql"
  [ -n "$lacking" ] || return 0
  if may_install; then
    if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
      as_root mkdir -p /etc/postgresql-common
      as_root sh -c 'echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf'
    fi
    # shellcheck disable=SC2086 - one word each
    if (install_packages -o Dpkg::Options::=--force-confold $lacking); then return; fi
  fi
  [ "${CI:-}" != true ] ||
    { echo "saltlick: under CI=true these are required:$lacking (Debian: apt install$lacking)" >&2; exit 1; }
  say "without$lacking some tests of backups are skipped (Debian: apt install$lacking)"
}
