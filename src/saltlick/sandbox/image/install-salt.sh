#!/bin/sh
# Stand-in, used only where the project's own bootstrap/install-salt.sh is not found.
set -eu
python3 -m venv /opt/saltlick/venv
/opt/saltlick/venv/bin/pip install -q --find-links /opt/saltlick/wheels "salt${SALT_VERSION:-~=3008.0}"
