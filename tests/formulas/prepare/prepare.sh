#!/bin/sh
# Makes what a suite finds on its server before the first highstate. Run again, it does nothing.
set -eu

# The application as a git repository with two revisions, the second on a branch of its own.
if [ ! -d /srv/git/app ]; then
    mkdir -p /srv/git/app
    cp /mnt/app/* /srv/git/app
    cd /srv/git/app
    git init -q -b main
    git config user.name test
    git config user.email test@example.com
    git add .
    git commit -q -m "First revision"
    git checkout -q -b next
    echo "# second" >> app.py
    git commit -q -a -m "Second revision"
    git checkout -q main
    git config --system --add safe.directory '*'
fi

# A service that stands for the minion: it has no master here, and what matters is when it is restarted.
if ! systemctl is-active --quiet salt-minion; then
    printf '[Service]\nExecStart=/bin/sleep infinity\n' > /etc/systemd/system/salt-minion.service
    systemctl daemon-reload
    systemctl start salt-minion
fi
