# Where backups go, and where those of prod may be read: for drills and refreshes.
{%- import_yaml 'passwords.sls' as passwords with context %}
stores:
  vault:
    rsync: {address: 172.20.0.10, module: test-backups, user: test, password: {{ passwords.backups | json }}}
    signing_key: {{ passwords.signing | json }}
  prod-vault:
    rsync: {address: 172.20.0.10, module: prod-restores, user: test, password: {{ passwords.backups | json }}}
    signing_key: {{ passwords.signing_of_prod | json }}
