# Where backups go: the daemon on the master, a module for each environment. The servers and the master both read this.
{%- import_yaml 'environment.sls' as here %}
{%- if 'db' in here.environment.get('servers', {}) %}
{%- import_yaml 'passwords.sls' as passwords with context %}
stores:
  vault:
    rsync: {address: 172.20.0.10, module: {{ here.environment.name }}-backups, user: {{ here.environment.name }}, password: {{ passwords.backups | json }}}
    signing_key: {{ passwords.signing | json }}
{%- endif %}
