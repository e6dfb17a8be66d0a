{%- from 'etcd/map.jinja' import etcd with context %}

include:
  - etcd.config
{%- for name in etcd.clusters | sort %}

# It does not wait for the other members: they may be configured later than this one.
etcd-service-{{ name }}:
  service.running:
    - name: saltlick-etcd@{{ name }}
    - enable: true
    - require:
      - sls: etcd.config
    - watch:
      - file: etcd-config-{{ name }}
      - file: etcd-config-start-script
      - file: etcd-config-unit
{%- endfor %}
