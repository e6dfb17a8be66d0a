# A Plone site with buildout, npm and gulp, released in place: each server in turn is taken out of traffic, gets the revision,
# is built and comes back.
#
# To use it, copy this file to pillar/<environment>/release.sls (or pillar/common/ for all environments), where it takes the
# place of the one that is there, and change what is yours: repository, folder, user, programs, addresses. Then
#
#     salt-run release.rolling prod rev=5.2.1 test=True      what would happen
#     salt-run release.rolling prod rev=5.2.1
#
# The servers need git, npm, supervisord and the folder {directory}/source with buildout bootstrapped in it (bin/buildout).
release:
  application: plone
  servers: app

  source:
    repository: git@git.example.org:site/plone.git
    directory: /srv/plone                  # source/ is the checkout in which buildout runs
    user: plone
    min_free_mb: 1000

  strategy:
    kind: in_place
    batch: [1, 50%]
    max_failures: 0
    canary_soak_s: 60                      # watch the first server for a minute

  # The load balancer asks varnish whether the server is well: stopped, it gets no more requests.
  balancer:
    kind: service
    service: varnish
    # How the load balancer sees it. With AWS: {kind: elbv2, name: www} in place of all this.
    look: health.http http://{server}:6081/varnish-probe deadline_s=3 timeout_s=2
    drain_s: 30
    restore_s: 120

  # supervisorctl's errors are text that Salt returns as a good answer, so that is what `expect` looks at.
  stop:
    - call: supervisord.stop all
      expect: '\A(?![\s\S]*ERROR(?! \(not running\)))'
      deadline_s: 120

  build:
    - git.checkout {directory}/source {sha} force=true user={user}
    - {run: bin/buildout -N, deadline_s: 1800}
    - call: npm.install dir={directory}/source/theme runas={user}
      name: npm install
    - {run: node_modules/.bin/gulp build, cwd: '{directory}/source/theme', name: gulp build}

  # On one server, once for the whole release, however often it is resumed.
  once:
    - run: bin/instance run scripts/upgrade.py
      name: upgrade steps
      when: before
      primary: '{environment}-app-1'
      deadline_s: 1800
      # Without `undo` a release that is taken back says so loudly: the database stays upgraded.
      undo: {run: bin/instance run scripts/downgrade.py}

  start:
    - call: supervisord.start all
      expect: '\A(?![\s\S]*ERROR(?! \(already started\)))'
      deadline_s: 120

  health:
    readiness_delay_s: 7
    deadline_s: 120
    successes: 3
    checks:
      - {tcp: '127.0.0.1:8080'}
      - {http: 'http://127.0.0.1:8080/Plone/@@ok', body: OK}

  windows:
    timezone: Europe/Berlin
    deny: ['Fri 15:00-24:00', Sat, Sun]
    freeze: ['2026-12-20..2027-01-03']

  # The first request after a restart is slow: let nobody wait for it.
  hooks:
    post_host:
      - {call: 'http.query http://127.0.0.1:6081/ status=true', on: server, name: warm up}

  # Told as JSON; the address is looked up on the master when it is needed.
  webhook: {url: 'sdb://secrets/site-channel', on: [started, done, failed]}
