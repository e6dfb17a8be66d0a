{%- from 'haproxy/map.jinja' import haproxy with context %}

haproxy-install-package:
  pkg.installed:
    - install_recommends: false
    - name: {{ haproxy.package }}
