{%- from 'haproxy/map.jinja' import haproxy with context %}

haproxy-install-package:
  pkg.installed:
    - name: {{ haproxy.package }}
