{%- from 'postgresql/map.jinja' import postgresql with context %}

include:
  - postgresql.cluster

postgresql-config-settings:
  file.managed:
    - name: {{ postgresql.config_dir }}/saltlick.conf
    - source: salt://postgresql/files/saltlick.conf.jinja
    - template: jinja
    - context:
        postgresql: {{ postgresql | tojson }}
    - user: root
    - group: {{ postgresql.user }}
    - mode: '0640'
    - require:
      - cmd: postgresql-cluster-begun

postgresql-config-included:
  file.append:
    - name: {{ postgresql.config_dir }}/postgresql.conf
    - text: include 'saltlick.conf'
    - require:
      - file: postgresql-config-settings

postgresql-config-clients:
  file.managed:
    - name: {{ postgresql.config_dir }}/pg_hba.conf
    - source: salt://postgresql/files/pg_hba.conf.jinja
    - template: jinja
    - context:
        postgresql: {{ postgresql | tojson }}
    - user: root
    - group: {{ postgresql.user }}
    - mode: '0640'
    - require:
      - cmd: postgresql-cluster-begun
