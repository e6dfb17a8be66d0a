{%- from 'rsyncd/map.jinja' import rsyncd with context %}

include:
  - rsyncd.install

rsyncd-config-secrets:
  file.managed:
    - name: {{ rsyncd.secrets }}
    - contents:
      - '# Written by Salt: salt/rsyncd.'
      {%- for name, user in rsyncd.users | dictsort %}
      - {{ (name ~ ':' ~ user.password) | tojson }}
      {%- endfor %}
    - show_changes: false
    - user: root
    - group: 0
    - mode: '0600'
    - require:
      - pkg: rsyncd-install-package

rsyncd-config-listen:
  file.managed:
    - name: {{ rsyncd.listen }}
    - source: salt://rsyncd/files/rsyncd.listen.jinja
    - template: jinja
    - context:
        rsyncd: {{ rsyncd | tojson }}
    - user: root
    - group: 0
    - mode: '0644'
    - require:
      - pkg: rsyncd-install-package

rsyncd-config-main:
  file.managed:
    - name: {{ rsyncd.config }}
    - source: salt://rsyncd/files/rsyncd.conf.jinja
    - template: jinja
    - context:
        rsyncd: {{ rsyncd | tojson }}
    - user: root
    - group: 0
    - mode: '0644'
    - require:
      - file: rsyncd-config-secrets
      - file: rsyncd-config-listen
