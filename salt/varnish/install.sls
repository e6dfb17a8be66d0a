{%- from 'varnish/map.jinja' import varnish with context %}
{%- if varnish.repository %}

varnish-install-repository:
  pkgrepo.managed:
    - name: varnish
{%- for key, value in varnish.repository | dictsort %}
    - {{ key }}: {{ value | tojson }}
{%- endfor %}
    - require_in:
      - pkg: varnish-install-package
{%- endif %}

varnish-install-package:
  pkg.installed:
    - install_recommends: false
    - name: {{ varnish.package }}
