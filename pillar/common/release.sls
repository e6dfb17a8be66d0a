# How a revision of the application gets onto the app servers: salt-run release.rolling test rev=main
# docs/pillar.md says what every key means. A release.sls in an environment's own folder takes the place of this one.
release:
  application: app
  servers: app

  source:
    repository: http://git.saltlick.internal/app.git
    directory: /srv/app                    # the app formula's folder: releases/<sha>, and current, which points at one
    user: app

  strategy:
    kind: prepared
    batch: [1, 100%]                       # one server first; the floor says how many may be out after it
    floor: 1
    soak_s: 10                             # after each batch: watched before the next one drains, and before it is over

  balancer: {kind: elbv2, name: www, drain_s: 30, restore_s: 60}     # drain_s: at least that of the environment's balancer

  # In releases/<sha>, while the server goes on serving: exactly what salt/app/files/build-release.sh does.
  build:
    - {run: python3 -m venv .venv, name: virtual environment}
    - run: .venv/bin/pip install --quiet --disable-pip-version-check -r requirements.txt
      name: packages

  # supervisord itself kills what does not end within the program's stopwaitsecs (30 s). Where it comes from pip, as on Amazon
  # Linux, its commands are in /opt/supervisor/bin.
  stop:
    - call: cmd.run_all
      kwargs: {cmd: 'supervisorctl stop app:*', prepend_path: /opt/supervisor/bin, python_shell: false}
      name: stop app
  start:
    - call: cmd.run_all
      kwargs: {cmd: 'supervisorctl start app:*', prepend_path: /opt/supervisor/bin, python_shell: false}
      name: start app

  # Each instance by itself; after that, the balancer asks for /health through nginx, varnish and haproxy.
  health:
    readiness_delay_s: 0.5
    interval_s: 0.5
    successes: 3
    deadline_s: 30
    checks:
      - {http: 'http://127.0.0.1:9001/health'}
      - {http: 'http://127.0.0.1:9002/health'}

  traffic: {log: /var/log/nginx/access.log}
