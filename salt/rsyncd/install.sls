{%- from 'rsyncd/map.jinja' import rsyncd with context %}

rsyncd-install-package:
  pkg.installed:
    - install_recommends: false
    - name: {{ rsyncd.package }}
{%- for name, module in rsyncd.modules | dictsort if not module.get('read_only', true) %}

rsyncd-install-dir-{{ name }}:
  file.directory:
    - name: {{ module.path }}
    - user: {{ module.get('owner', 'root') }}
    - group: 0
    - mode: '0700'
    - makedirs: true
{%- endfor %}
