{%- from 'haproxy/map.jinja' import haproxy with context %}
{%- from 'app/map.jinja' import app with context %}

include:
  - haproxy.install

haproxy-config-socket-dir:
  file.directory:
    - name: {{ salt['file.dirname'](haproxy.admin_socket) }}
    - require:
      - pkg: haproxy-install-package

haproxy-config-main:
  file.managed:
    - name: {{ haproxy.config }}
    - source: salt://haproxy/files/haproxy.cfg.jinja
    - template: jinja
    - context:
        haproxy: {{ haproxy | tojson }}
        app: {{ app | tojson }}
    - check_cmd: {{ haproxy.binary }} -c -f
    - user: root
    - group: 0
    - mode: '0644'
    - require:
      - file: haproxy-config-socket-dir
{%- if grains.get('selinux', {}).get('enabled') %}
{%- for boolean in haproxy.selinux_booleans %}

haproxy-config-selinux-{{ boolean }}:
  selinux.boolean:
    - name: {{ boolean }}
    - value: true
    - persist: true
{%- endfor %}
{%- endif %}
