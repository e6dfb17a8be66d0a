{%- from 'postgresql/map.jinja' import postgresql with context %}
{%- if postgresql.no_cluster %}

# The package would make and start a cluster of its own, on a standby too.
postgresql-install-no-cluster:
  file.managed:
    - name: {{ postgresql.no_cluster }}
    - contents: create_main_cluster = false
    - user: root
    - group: 0
    - mode: '0644'
    - makedirs: true
    - require_in:
      - pkg: postgresql-install-packages
{%- endif %}

postgresql-install-packages:
  pkg.installed:
    - install_recommends: false
    - pkgs: {{ postgresql.packages | tojson }}
    - reload_modules: true
{%- if postgresql.others %}

postgresql-install-passfile:
  file.managed:
    - name: {{ postgresql.passfile }}
    - contents: {{ ('*:*:*:' ~ postgresql.replication.user ~ ':' ~ postgresql.replication.password | replace('\\', '\\\\') | replace(':', '\\:')) | tojson }}
    - show_changes: false
    - user: {{ postgresql.user }}
    - group: 0
    - mode: '0600'
    - require:
      - pkg: postgresql-install-packages
{%- endif %}
