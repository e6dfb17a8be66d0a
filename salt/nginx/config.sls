{%- from 'nginx/map.jinja' import nginx with context %}

include:
  - nginx.install

nginx-config-site:
  file.managed:
    - name: {{ nginx.config_dir }}/saltlick.d/app.conf
    - source: salt://nginx/files/app.conf.jinja
    - template: jinja
    - context:
        nginx: {{ nginx | tojson }}
    - user: root
    - group: 0
    - mode: '0644'
    - makedirs: true
    - require:
      - pkg: nginx-install-package

nginx-config-main:
  file.managed:
    - name: {{ nginx.config_dir }}/nginx.conf
    - source: salt://nginx/files/nginx.conf.jinja
    - template: jinja
    - context:
        nginx: {{ nginx | tojson }}
    - check_cmd: nginx -t -c
    - user: root
    - group: 0
    - mode: '0644'
    - require:
      - file: nginx-config-site
{%- if grains.get('selinux', {}).get('enabled') %}
{%- for boolean in nginx.selinux_booleans %}

nginx-config-selinux-{{ boolean }}:
  selinux.boolean:
    - name: {{ boolean }}
    - value: true
    - persist: true
{%- endfor %}
{%- endif %}
