{%- from 'varnish/map.jinja' import varnish with context %}

include:
  - varnish.install

varnish-config-log-format:
  file.managed:
    - name: {{ varnish.config_dir }}/saltlick.format
    - source: salt://varnish/files/log.format.jinja
    - template: jinja
    - context:
        varnish: {{ varnish | tojson }}
    - user: root
    - group: 0
    - mode: '0644'
    - require:
      - pkg: varnish-install-package

varnish-config-vcl:
  file.managed:
    - name: {{ varnish.config_dir }}/default.vcl
    - source: salt://varnish/files/default.vcl.jinja
    - template: jinja
    - context:
        varnish: {{ varnish | tojson }}
    - check_cmd: sh -c 'exec {{ varnish.varnishd }} -C -n {{ varnish.check_dir }} -f "$0" >/dev/null'
    - user: root
    - group: 0
    - mode: '0644'
    - require:
      - pkg: varnish-install-package
{%- for daemon, config in (('varnish', varnish.service_config), ('varnishncsa', varnish.log_service_config)) %}

varnish-config-{{ daemon }}-arguments:
  file.managed:
    - name: {{ config.path }}
    - source: salt://varnish/files/{{ config.template }}
    - template: jinja
    - context:
        varnish: {{ varnish | tojson }}
    - user: root
    - group: 0
    - mode: '0644'
    - makedirs: true
    - require:
      - pkg: varnish-install-package
{%- endfor %}
