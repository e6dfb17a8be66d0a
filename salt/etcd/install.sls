{%- from 'etcd/map.jinja' import etcd with context %}
{%- if etcd.unit_dir %}
{%- for unit in etcd.platform_units %}

# The package starts a cluster of its own with one member.
etcd-install-{{ unit }}-masked:
  file.symlink:
    - name: {{ etcd.unit_dir }}/{{ unit }}
    - target: /dev/null
    - require_in:
      - user: etcd-install-user
{%- endfor %}
{%- endif %}
{%- if etcd.archive %}

etcd-install-archive:
  archive.extracted:
    - name: /opt/etcd
    - source: {{ etcd.archive.source }}
    - source_hash: {{ etcd.archive.source_hash }}
    - options: --strip-components=1
    - enforce_toplevel: false
    - user: root
    - group: 0
    - if_missing: /opt/etcd/etcd
    - require_in:
      - user: etcd-install-user
{%- elif etcd.packages %}

etcd-install-packages:
  pkg.installed:
    - install_recommends: false
    - pkgs: {{ etcd.packages | tojson }}
    - require_in:
      - user: etcd-install-user
{%- for unit in etcd.platform_units if etcd.unit_dir %}
    - require:
      - file: etcd-install-{{ unit }}-masked
{%- endfor %}
{%- endif %}

etcd-install-user:
  user.present:
    - name: {{ etcd.user }}
    - home: {{ etcd.data_dir }}
    - createhome: false
    - system: true
    - usergroup: true
    # The platform's package makes the same user with its own home and shell.
    - unless: id {{ etcd.user }}

etcd-install-dir:
  file.directory:
    - name: {{ etcd.data_dir }}
    - user: {{ etcd.user }}
    - group: {{ etcd.user }}
    - mode: '0700'
    - require:
      - user: etcd-install-user
{%- if etcd.clusters %}
{%- set missing = 'etcd: ' ~ etcd.etcd ~ ' or ' ~ etcd.etcdctl ~ ' is missing: name where they come from in etcd:archive or etcd:packages' %}

# Where the platform has no package of it, it has to be there already.
etcd-install-programs:
  cmd.run:
    - name: {{ ('echo "' ~ missing ~ '" >&2; false') | tojson }}
    - unless: test -x {{ etcd.etcd }} -a -x {{ etcd.etcdctl }}
    - require:
      - user: etcd-install-user
{%- endif %}
