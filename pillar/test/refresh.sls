# Production's data in test: salt-run refresh.run source=prod target=test. docs/refresh.md says what happens in which order.
refresh:
  source: prod
  job: database
  store: prod-vault
  servers: db
  mask:
    - database: app
      sql: update notes set text = 'note ' || id
  checks:
    - {name: notes, database: app, query: select count(*) from notes, at_least: 0}
    - {name: recognisable, database: app, query: "select count(*) from notes where text <> 'note ' || id", equals: 0}
  application:
    servers: app
    stop:
      - call: cmd.run_all
        kwargs: {cmd: 'supervisorctl stop app:*', prepend_path: /opt/supervisor/bin, python_shell: false}
    start:
      - call: cmd.run_all
        kwargs: {cmd: 'supervisorctl start app:*', prepend_path: /opt/supervisor/bin, python_shell: false}
      - call: health.http                  # as the balancer asks
        args: ['http://127.0.0.1/health']
        kwargs: {deadline_s: 60}
