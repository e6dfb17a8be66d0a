# One server: the roles of its group, and the settings of those roles from roles/<role>.sls, which see `environment`. A file
# of that name in the environment's own folder takes the place of the one here.
{%- import_yaml 'environment.sls' as pillar %}
{%- set environment = pillar.environment %}
{%- for group, servers in environment.get('servers', {}).items() %}
{%- set numbered = '^' ~ environment.name ~ '-' ~ group ~ '-[0-9]+$' %}
{%- set names = servers.get('names', []) %}
{%- if opts.id in names or (not names and opts.id is match(numbered)) %}
roles: {{ servers.get('roles', []) | json }}
# What this server is, for modules that must never do certain things in production, whoever tells them to.
saltlick: {environment: {{ environment.name }}, production: {{ environment.get('production', False) | json }}}
{%- for role in servers.get('roles', []) %}
{% include 'roles/' ~ role ~ '.sls' ignore missing %}
{%- endfor %}
{%- endif %}
{%- endfor %}
