{%- from 'postgresql/map.jinja' import postgresql with context %}
{%- set failover = postgresql.failover %}
{%- set tool = '/usr/local/sbin/saltlick-patroni' %}

# Patroni makes the cluster, or a copy of the primary's, and runs it from then on.
include:
  - etcd
  - postgresql.install

postgresql-patroni-platform-service-dead:
  service.dead:
    - name: {{ failover.platform_service }}
    - enable: false
    - require:
      - sls: postgresql.install

# Nothing but Patroni starts a database here, not even a boot: the platform's service would start a second primary.
postgresql-patroni-platform-service-masked:
  file.symlink:
    - name: {{ postgresql.unit_dir }}/{{ failover.platform_service }}.service
    - target: /dev/null
    - force: true
    - require:
      - service: postgresql-patroni-platform-service-dead

postgresql-patroni-packages:
  pkg.installed:
    - install_recommends: false
    - pkgs: {{ failover.packages | tojson }}

postgresql-patroni-venv:
  cmd.run:
    - name: {{ failover.python }} -m venv {{ failover.venv }}
    - creates: {{ failover.venv }}/bin/pip
    - require:
      - pkg: postgresql-patroni-packages

postgresql-patroni-requirements:
  file.managed:
    - name: {{ failover.venv }}/patroni-requirements.txt
    - contents: {{ failover.pip | tojson }}
    - user: root
    - group: 0
    - mode: '0644'
    - require:
      - cmd: postgresql-patroni-venv

postgresql-patroni-pip:
  cmd.run:
    - name: bin/pip install --quiet --disable-pip-version-check -r patroni-requirements.txt && cp patroni-requirements.txt patroni-installed.txt
    - cwd: {{ failover.venv }}
    - unless: cmp -s {{ failover.venv }}/patroni-requirements.txt {{ failover.venv }}/patroni-installed.txt
    - require:
      - file: postgresql-patroni-requirements
{%- for name, path, mode in (
  ('patroni.yml', failover.config, '0640'),
  ('patroni-dynamic.json', failover.dynamic, '0640'),
  ('saltlick-patroni.py', tool, '0755'),
  ('saltlick-patroni.service', postgresql.unit_dir ~ '/' ~ failover.service ~ '.service', '0644'),
  ('saltlick-patroni-guard.service', postgresql.unit_dir ~ '/' ~ failover.service ~ '-guard.service', '0644'),
) %}

postgresql-patroni-{{ name }}:
  file.managed:
    - name: {{ path }}
    - source: salt://postgresql/files/{{ name }}.jinja
    - template: jinja
    - context:
        postgresql: {{ postgresql | tojson }}
    - show_changes: false
    - user: root
    - group: {{ postgresql.user if mode == '0640' else 0 }}
    - mode: '{{ mode }}'
    - require:
      - sls: postgresql.install
      - sls: etcd.config
{%- endfor %}

# Salt looks for systemd's warning of a changed unit on stdout; systemd writes it to stderr, and the old unit would start.
postgresql-patroni-units-read:
  cmd.run:
    - name: systemctl daemon-reload
    - onchanges:
      - file: postgresql-patroni-saltlick-patroni.service
      - file: postgresql-patroni-saltlick-patroni-guard.service
      - file: postgresql-patroni-platform-service-masked

postgresql-patroni-running:
  service.running:
    - name: {{ failover.service }}
    - enable: true
    - reload: true
    - require:
      - sls: etcd.service
      - cmd: postgresql-patroni-pip
      - cmd: postgresql-patroni-units-read
    - watch:
      - file: postgresql-patroni-patroni.yml

postgresql-patroni-guard:
  service.running:
    - name: {{ failover.service }}-guard
    - enable: true
    - require:
      - service: postgresql-patroni-running
    - watch:
      - file: postgresql-patroni-saltlick-patroni.py
      - file: postgresql-patroni-saltlick-patroni-guard.service

# A member that begins waits for the majority of etcd, and for the primary that it copies.
postgresql-patroni-ready:
  cmd.run:
    - name: {{ tool }} wait {{ postgresql.wait_for_primary_s }}
    - unless: {{ tool }} wait 0
    - require:
      - service: postgresql-patroni-running

# What holds for the whole cluster is kept in etcd.
postgresql-patroni-configured:
  cmd.run:
    - name: {{ tool }} configure
    - unless: {{ tool }} configured
    - require:
      - cmd: postgresql-patroni-ready
{%- if postgresql.restart %}

# Some settings are taken at a restart only. Patroni restarts this member alone, and asks it afterwards.
postgresql-patroni-restarted:
  cmd.run:
    - name: {{ failover.ctl }} restart {{ failover.cluster }} {{ grains['id'] }} --pending --force
    - onlyif: {{ tool }} pending
    - require:
      - cmd: postgresql-patroni-configured

postgresql-patroni-ready-again:
  cmd.run:
    - name: {{ tool }} wait {{ postgresql.wait_for_primary_s }}
    - onchanges:
      - cmd: postgresql-patroni-restarted
{%- endif %}
