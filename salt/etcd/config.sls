{%- from 'etcd/map.jinja' import etcd with context %}

include:
  - etcd.install

etcd-config-start-script:
  file.managed:
    - name: /usr/local/sbin/saltlick-etcd
    - source: salt://etcd/files/saltlick-etcd.sh.jinja
    - template: jinja
    - context:
        etcd: {{ etcd | tojson }}
    - user: root
    - group: 0
    - mode: '0755'
    - makedirs: true
{%- if etcd.unit_dir %}

etcd-config-unit:
  file.managed:
    - name: {{ etcd.unit_dir }}/saltlick-etcd@.service
    - source: salt://etcd/files/saltlick-etcd@.service.jinja
    - template: jinja
    - context:
        etcd: {{ etcd | tojson }}
    - user: root
    - group: 0
    - mode: '0644'

# Salt looks for systemd's warning of a changed unit on stdout; systemd writes it to stderr, and the old unit would start.
etcd-config-unit-read:
  cmd.run:
    - name: systemctl daemon-reload
    - onchanges:
      - file: etcd-config-unit
{%- endif %}

etcd-config-dir:
  file.directory:
    - name: {{ etcd.config_dir }}
    - user: root
    - group: 0
    - mode: '0755'
    - makedirs: true
{%- for name, cluster in etcd.clusters | dictsort %}

etcd-config-{{ name }}:
  file.managed:
    - name: {{ etcd.config_dir }}/{{ name }}.env
    - source: salt://etcd/files/cluster.env.jinja
    - template: jinja
    - context:
        etcd: {{ etcd | tojson }}
        name: {{ name }}
        cluster: {{ cluster | tojson }}
    - user: root
    - group: {{ etcd.user }}
    - mode: '0640'
    - require:
      - user: etcd-install-user
      - file: etcd-config-dir
{%- endfor %}
