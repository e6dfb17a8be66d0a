{%- from 'postgresql/map.jinja' import postgresql with context %}

include:
  - postgresql.install

postgresql-cluster-script:
  file.managed:
    - name: /usr/local/sbin/postgresql-begin
    - source: salt://postgresql/files/postgresql-begin.sh.jinja
    - template: jinja
    - context:
        postgresql: {{ postgresql | tojson }}
    - user: root
    - group: 0
    - mode: '0755'

# Only ever on an empty data directory: nobody's data is made anew.
postgresql-cluster-begun:
  cmd.run:
    - name: /usr/local/sbin/postgresql-begin
    - creates: {{ postgresql.data_dir }}/PG_VERSION
    - require:
      - sls: postgresql.install
      - file: postgresql-cluster-script
