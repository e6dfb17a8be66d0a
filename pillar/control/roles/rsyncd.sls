# The store of backups: a module for each environment, with a user and a password of its own.
{%- import_yaml 'passwords.sls' as passwords with context %}
rsyncd:
  users:
{%- for name, password in passwords.backups | dictsort %}
    {{ name }}: {password: {{ password | json }}}
{%- endfor %}
  modules:
    prod-backups: {path: /srv/backups/prod, users: [prod], read_only: false, allow: [10.10.0.0/16]}
    test-backups: {path: /srv/backups/test, users: [test], read_only: false, allow: [10.20.0.0/16]}
    # What test may read: for drills, and to be refreshed from.
    prod-restores: {path: /srv/backups/prod, users: [test], read_only: true, allow: [10.20.0.0/16]}
