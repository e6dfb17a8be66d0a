#!/bin/sh
# Installs Salt into /opt/saltlick/venv and defines its services. Does nothing that is done already, so it is as good for
# baking an image (`sh install-salt.sh`) as at a first boot (minion.sh.j2 and master.sh.j2 include it and call its functions).
#
# SALT_VERSION   the compatible release of Salt to install (3008.0 means >=3008.0,<3009)
# SALTLICK_LIBRARY=1 defines the functions only.
set -eu

SALT_VERSION=${SALT_VERSION:-3008.0}
SALTLICK_HOME=/opt/saltlick
VENV=$SALTLICK_HOME/venv
LOG=/var/log/saltlick-bootstrap.log
STEP="looking at the system"

say() { # One line on the console, from its beginning: there the master reads fingerprints, and people read failures.
  printf '\nsaltlick: %s\n' "$*" 2>/dev/null >/dev/console || true
  printf 'saltlick: %s\n' "$*"
}

step() { STEP=$1; say "$1"; }

on_exit() { # Whatever went wrong, the console says where, with the end of the log. Others wrote that text: it never looks like ours.
  code=$?
  [ "$code" -eq 0 ] && return
  tail -n 12 "$LOG" 2>/dev/null | tr -cd '\11\12\40-\176' | sed 's#://[^/@ ]*@#://#g; s/fingerprint/finger/g' | while read -r line; do say "| $line"; done
  say "FAILED: $STEP (exit $code); the whole log is $LOG"
}

family() { # debian, redhat or freebsd
  if [ "$(uname -s)" = FreeBSD ]; then echo freebsd; return; fi
  case " $(. /etc/os-release && echo "$ID ${ID_LIKE:-}") " in
    *" debian "*|*" ubuntu "*) echo debian ;;
    *" amzn "*|*" rhel "*|*" fedora "*|*" centos "*) echo redhat ;;
    *) echo "no package manager of Debian, Red Hat or FreeBSD here" >&2; return 1 ;;
  esac
}

patiently() { # patiently COMMAND…: until it succeeds, five minutes at most. A server can be up before its way to the internet is.
  give_up=$(($(date +%s) + 300))
  until "$@"; do
    [ "$(date +%s)" -lt "$give_up" ] || return 1
    sleep 5
  done
}

packages() { # Installs system packages, given in the family's own names.
  case $FAMILY in
    debian)
      patiently apt-get -qy -o DPkg::Lock::Timeout=300 -o APT::Update::Error-Mode=any update
      DEBIAN_FRONTEND=noninteractive apt-get -qy -o DPkg::Lock::Timeout=300 --no-install-recommends install "$@" ;;
    redhat) patiently dnf -qy makecache && dnf -qy install "$@" ;;
    freebsd) patiently env ASSUME_ALWAYS_YES=yes pkg update -q && ASSUME_ALWAYS_YES=yes pkg install -qy "$@" ;;
  esac
}

python() { # The newest interpreter that Salt supports and that can make virtual environments.
  for name in python3.13 python3.12 python3.11 python3.10 python3; do
    if "$name" -c 'import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' 2>/dev/null; then
      command -v "$name"
      return
    fi
  done
  return 1
}

need_python() {
  python >/dev/null && return
  case $FAMILY in
    debian) packages ca-certificates python3 python3-venv ;;
    redhat) packages ca-certificates python3.11 python3.11-pip ;;
    freebsd) packages ca_root_nss python311 py311-pyzmq py311-cryptography py311-msgpack py311-yaml py311-psutil ;;
  esac
  python >/dev/null
}

need_compiler() { # For the one dependency that has no wheel everywhere, timelib.
  case $FAMILY in
    debian) packages gcc libc6-dev python3-dev ;;
    redhat) packages gcc python3.11-devel ;;
    freebsd) : ;; # in the base system
  esac
}

pip_install() { # Salt has no wheels, and a setuptools from 75.6 on cannot build it. pip < 25.3 reads the one name, later ones the other.
  echo 'setuptools<75.6' >"$SALTLICK_HOME/build-constraint.txt"
  mkdir -p "$SALTLICK_HOME/build" # /tmp may be mounted noexec, and what is built gets run
  TMPDIR=$SALTLICK_HOME/build PIP_CONSTRAINT=$SALTLICK_HOME/build-constraint.txt PIP_BUILD_CONSTRAINT=$SALTLICK_HOME/build-constraint.txt \
    PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore "$VENV/bin/python" -m pip install -q "$@"
}

salt_is_there() {
  [ -x "$VENV/bin/salt-minion" ] && "$VENV/bin/python" - "$SALT_VERSION" <<'PY'
import sys
import msgpack, tornado, zmq  # an early 3008 installs without its dependencies
from importlib.metadata import version
wanted, found = ([int(part) for part in text.split(".")[:2]] for text in (sys.argv[1], version("salt")))
sys.exit(not (found[0] == wanted[0] and found >= wanted))
PY
}

service_files() {
  for name in salt-master salt-minion; do
    if [ "$FAMILY" = freebsd ]; then
      cat >"/usr/local/etc/rc.d/$(echo $name | tr - _)" <<RC
#!/bin/sh
# PROVIDE: $(echo $name | tr - _)
# REQUIRE: LOGIN
. /etc/rc.subr
name=$(echo $name | tr - _)
rcvar=\${name}_enable
command=$VENV/bin/$name
command_args="-d"
command_interpreter=$VENV/bin/python
load_rc_config \$name
run_rc_command "\$1"
RC
      chmod 0755 "/usr/local/etc/rc.d/$(echo $name | tr - _)"
    else
      # KillMode=process: a state that restarts the minion must not kill the job it runs in.
      cat >/etc/systemd/system/$name.service <<UNIT
[Unit]
Description=$name (Saltlick)
After=network-online.target
Wants=network-online.target

[Service]
ExecStart=$VENV/bin/$name
KillMode=$([ $name = salt-minion ] && echo process || echo mixed)
LimitNOFILE=100000
Restart=always
RestartSec=10

[Install]
WantedBy=multi-user.target
UNIT
    fi
  done
}

commands_on_path() {
  for name in salt salt-call salt-key salt-minion salt-run saltlick; do
    [ ! -x "$VENV/bin/$name" ] || ln -sf "$VENV/bin/$name" "/usr/local/bin/$name"
  done
}

install_salt() {
  FAMILY=$(family)
  mkdir -p "$SALTLICK_HOME"
  if ! salt_is_there; then
    step "installing Salt ~=$SALT_VERSION"
    need_python
    if [ "$FAMILY" = freebsd ]; then "$(python)" -m venv --system-site-packages "$VENV"; else "$(python)" -m venv "$VENV"; fi
    pip_install --upgrade pip
    pip_install --only-binary :all: timelib || need_compiler
    pip_install "salt~=$SALT_VERSION"
    salt_is_there
    if command -v restorecon >/dev/null; then restorecon -R "$VENV"; fi # SELinux: what systemd starts has to be a bin_t
  fi
  service_files
  commands_on_path
}

restart_service() { # Starts it now and at every boot.
  if [ "$FAMILY" = freebsd ]; then
    sysrc "$(echo "$1" | tr - _)_enable=YES" && service "$(echo "$1" | tr - _)" restart
  else
    systemctl daemon-reload && systemctl enable "$1" && systemctl restart "$1"
  fi
}

salt_etc() { if [ "$FAMILY" = freebsd ]; then echo /usr/local/etc/salt; else echo /etc/salt; fi; }

host_name() { # The server's name is its minion id and its host name.
  hostname "$1"
  if [ "$FAMILY" = freebsd ]; then sysrc hostname="$1"; else echo "$1" >/etc/hostname; fi
  grep -qw "$1" /etc/hosts || printf '127.0.1.1 %s\n' "$1" >>/etc/hosts
}

new_keys() { # new_keys DIR NAME: made before the daemon starts, so that the fingerprint is known first.
  # Not by salt-key: measured on 3008, it leaves a second pair named after the master's id beside this one, and the master uses that.
  [ -s "$1/$2.pub" ] || "$VENV/bin/python" - "$1" "$2" <<'PY'
import os, pathlib, sys
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import rsa
os.umask(0o077)
folder, name = pathlib.Path(sys.argv[1]), sys.argv[2]
folder.mkdir(parents=True, exist_ok=True)
key = rsa.generate_private_key(public_exponent=65537, key_size=3072)
private = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.TraditionalOpenSSL, form.NoEncryption())
public = key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
(folder / f"{name}.pem").write_bytes(private)
(folder / f"{name}.pub").write_bytes(public)
PY
}

fingerprint() { # As `salt-call --local key.finger` gives it.
  "$VENV/bin/python" -c 'import sys; from salt.utils.crypt import pem_finger; print(pem_finger(sys.argv[1], sum_type="sha256"))' "$1"
}

repeat_fingerprint() { # repeat_fingerprint LINE: at each boot and every five minutes. AWS keeps the console's last 64 KB only.
  printf '#!/bin/sh\nprintf "\\nsaltlick: %%s\\n" "%s" >/dev/console\n' "$1" >"$SALTLICK_HOME/say-fingerprint"
  chmod 0700 "$SALTLICK_HOME/say-fingerprint"
  if [ "$FAMILY" = freebsd ]; then
    printf '*/5 * * * * root %s\n' "$SALTLICK_HOME/say-fingerprint" >/etc/cron.d/saltlick-fingerprint
    return
  fi
  printf '[Service]\nType=oneshot\nExecStart=%s\n' "$SALTLICK_HOME/say-fingerprint" >/etc/systemd/system/saltlick-fingerprint.service
  printf '[Timer]\nOnBootSec=15\nOnUnitActiveSec=300\n[Install]\nWantedBy=timers.target\n' >/etc/systemd/system/saltlick-fingerprint.timer
  systemctl daemon-reload && systemctl enable saltlick-fingerprint.timer && systemctl start saltlick-fingerprint.timer
}

configure_minion() { # configure_minion ID MASTER MASTER_FINGER PILLARENV [NONCE]: trusts only that master, and says on the console who it is.
  mkdir -p "$(salt_etc)/minion.d"
  cat >"$(salt_etc)/minion.d/saltlick.conf" <<CONF
# Written at first boot.
id: '$1'
master: '$2'
master_finger: '$3'
pillarenv: '$4'
user: root
hash_type: sha256
encryption_algorithm: OAEP-SHA224
signing_algorithm: PKCS1v15-SHA224
# A key that waits for admission, or that a predecessor's key stands in the way of, keeps asking.
rejected_retry: true
acceptance_wait_time: 5
auth_timeout: 10
auth_tries: 3
master_tries: -1
recon_default: 500
recon_max: 5000
tcp_keepalive_idle: 60
# The deployment gives each server its modules, once. By itself each highstate would ask for every kind of them, for five
# seconds of processor time.
autoload_dynamic_modules: false
# A module is looked for in the files whose names hold its own. Otherwise each highstate with a condition (unless, onlyif, creates)
# loads every module there is, for a function that Salt does not have: seven seconds of processor time.
lazy_loader_strict_matching: true
enable_fqdns_grains: false
enable_gpu_grains: false
CONF
  new_keys "$(salt_etc)/pki/minion" minion
  said="minion fingerprint $(fingerprint "$(salt_etc)/pki/minion/minion.pub")${5:+ boot $5}"
  say "$said"
  if [ -n "${5:-}" ]; then repeat_fingerprint "$said"; fi
}

if [ -z "${SALTLICK_LIBRARY:-}" ]; then
  install_salt
fi
