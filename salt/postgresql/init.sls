{%- from 'postgresql/map.jinja' import postgresql with context %}

include:
  - postgresql.install
{%- if postgresql.failover %}
  - postgresql.patroni
{%- else %}
  - postgresql.cluster
  - postgresql.config
  - postgresql.service
{%- endif %}
  - postgresql.facts
  - postgresql.databases
  - postgresql.archive
