{%- from 'varnish/map.jinja' import varnish with context %}

include:
  - varnish.config

# Salt looks for systemd's warning of a changed unit on stdout; systemd writes it to stderr, and the old command would restart.
varnish-service-units-read:
  cmd.run:
    - name: {{ varnish.read_units }}
    - onchanges:
      - file: varnish-config-varnish-arguments
      - file: varnish-config-varnishncsa-arguments

# A new VCL is loaded without losing the cache or a connection; before a restart, as a daemon just started refuses it.
varnish-service-reloaded:
  service.running:
    - name: {{ varnish.service }}
    - enable: true
    - reload: {{ varnish.reload | tojson }}
    - require:
      - cmd: varnish-service-units-read
    - watch:
      - file: varnish-config-vcl

varnish-service-running:
  service.running:
    - name: {{ varnish.service }}
    - require:
      - service: varnish-service-reloaded
    - watch:
      - file: varnish-config-varnish-arguments

varnish-service-log-running:
  service.running:
    - name: {{ varnish.log_service }}
    - enable: true
    - require:
      - service: varnish-service-running
    - watch:
      - file: varnish-config-log-format
      - file: varnish-config-varnishncsa-arguments
