# What is backed up, when, and how long it is kept: docs/backup.md. A backup.sls in an environment's own folder takes the place of this one.
include: [stores]
{%- import_yaml 'environment.sls' as pillar %}
{%- if 'db' in pillar.environment.get('servers', {}) %}
backup:
  jobs:
    database:                              # from the standby; with WAL every five minutes
      postgresql: {max_rate_mb: 100}
      servers: db
      store: vault
      full: {cron: '15 2 * * *'}
      incremental: {every_s: 300}
      splay_s: 60
      any_moment: 72h                      # at night as well; what is older goes by `keep`
      keep: {daily: 7, weekly: 4, monthly: 6}
      max_age_s: 1800
      deadline_s: 7200
{%- if pillar.environment.get('production') %}
      drill:                               # each week, on a server of test, beside what serves there
        environment: test
        servers: db
        store: prod-vault
        at: {cron: '30 4 * * 0'}
        checks:
          - {name: notes, database: app, query: select count(*) from notes, at_least: 0}
{%- endif %}
    objects:                               # ZODB: Data.fs and its blobs, as a pair
      zodb: {}
      servers: db
      store: vault
      full: {cron: '45 2 * * *'}
      incremental: {cron: '0 8-20/4 * * *'}
      splay_s: 600
{%- endif %}
