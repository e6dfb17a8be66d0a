#!/usr/bin/env bash
# A container engine for the sandbox, from Debian's packages where there is none.
#
#   tools/engine.sh up      exit 0: an engine answers; exit 3: none can run here, and one line on stderr says what is missing
#   tools/engine.sh down    stop the daemon that `up` started, and only that one
#   tools/engine.sh ours    exit 0 when the daemon that answers is one that `up` started
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/lib.sh

state=.saltlick/engine
pidfile=$state/dockerd.pid
log=$state/dockerd.log
socket=${DOCKER_HOST:-unix:///var/run/docker.sock}

missing() { echo "saltlick: no container engine: $*" >&2; exit 3; }

answers() {
  case $socket in
    unix://*) curl_socket "${socket#unix://}" ;;
    *) [ -x .venv/bin/python ] && .venv/bin/python -c 'import docker; docker.from_env(timeout=5).ping()' 2>/dev/null ;;
  esac
}

# No docker client and no curl needed: one HTTP request over the socket.
curl_socket() {
  python3 - "$1" <<'PY' 2>/dev/null
import socket, sys
s = socket.socket(socket.AF_UNIX); s.settimeout(5); s.connect(sys.argv[1])
s.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
sys.exit(b" 200 " not in s.recv(256))
PY
}

ours() { [ -s "$pidfile" ] && [ "$(cat "/proc/$(cat "$pidfile")/comm" 2>/dev/null)" = dockerd ]; }

up() {
  [ -z "${SALTLICK_NO_ENGINE:-}" ] || missing "$SALTLICK_NO_ENGINE"
  [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null ||
    missing "the sandbox sets packet filter rules, so it has to be root (or sudo without a password)"
  answers && return
  case $socket in unix://*) ;; *) missing "nothing answers at DOCKER_HOST=$socket" ;; esac
  [ "$(uname -s)" = Linux ] || missing "start Docker (on $(uname -s) it is not ours to start)"
  if [ -S "${socket#unix://}" ] && [ ! -w "${socket#unix://}" ]; then
    missing "${socket#unix://} is there but not for $(id -un): join the group docker, or run as root"
  fi
  if ! command -v dockerd >/dev/null 2>&1 && [ ! -x /usr/sbin/dockerd ]; then
    may_install || missing "Docker is not installed and this account may not install it (Debian: apt install docker.io)"
    ( install_packages $(engine_packages) ) || missing "Docker could not be installed from Debian's packages"
    for _ in 1 2 3 4 5; do answers && return; sleep 1; done # a package's own service may have come up
  fi
  start
  forget_lost_networks
}

# A daemon that was killed while it made a network keeps the addresses of that network for ever and lists it no more.
forget_lost_networks() {
  local lost; lost=$([ -x .venv/bin/python ] && .venv/bin/python -m saltlick.sandbox.lost_networks 2>/dev/null) || return 0
  [ -n "$lost" ] || return 0
  say "Docker was killed while it made a network: starting it again without its list of networks"
  down
  as_root rm -f "${lost%% *}"
  for bridge in ${lost#* }; do as_root ip link delete "$bridge"; done
  start
}

# Debian 13 split the client off; debootstrap makes the base image where no registry answers.
engine_packages() {
  echo docker.io debootstrap iptables iproute2
  if apt-cache show docker-cli >/dev/null 2>&1; then echo docker-cli; fi
}

# A daemon that was killed leaves its pid behind, and the next one refuses to start when some other process has got that number.
forget_stale_pids() {
  for file in /var/run/docker.pid /var/run/docker/containerd/containerd.pid; do
    [ -s "$file" ] || continue
    case $(cat "/proc/$(cat "$file")/comm" 2>/dev/null) in dockerd | containerd) ;; *) as_root rm -f "$file" ;; esac
  done
}

start() {
  [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null || missing "dockerd is installed but not running, and this account may not start it"
  mkdir -p "$state"
  forget_stale_pids
  say "starting dockerd (log: $log)"
  # Its own session, so that Ctrl-C in this terminal is not for it; the group lets this account use the socket. The shell
  # around it stays as long as it runs and must not keep our own output open: whoever reads that would wait for ever.
  as_root sh -c 'PATH=$PATH:/usr/sbin:/sbin; echo $$ >"$1"; exec setsid dockerd --group "$3" >"$2" 2>&1 </dev/null' \
    sh "$PWD/$pidfile" "$PWD/$log" "$(id -gn)" </dev/null >/dev/null 2>&1 &
  for _ in $(seq 60); do
    if answers; then return; fi
    if [ -s "$pidfile" ] && ! ours && [ "$(wc -c <"$log")" -gt 0 ] && ! kill -0 "$(cat "$pidfile")" 2>/dev/null; then break; fi
    sleep 0.5
  done
  answers && return
  missing "dockerd does not start here (see $log): $(tail -n 1 "$log" | tr -s ' ' | cut -c1-160)"
}

down() {
  ours || return 0
  local pid; pid=$(cat "$pidfile")
  say "stopping the dockerd that was started for this checkout"
  as_root kill "$pid"
  for _ in $(seq 60); do [ -d "/proc/$pid" ] || break; sleep 0.5; done
  rm -f "$pidfile"
}

case ${1:-} in
  up | down | ours) "$1" ;;
  *) sed -n '2,7p' "$0" >&2; exit 2 ;;
esac
