{%- from 'keepalived/map.jinja' import keepalived with context %}

include:
  - keepalived.install

keepalived-config-state-script:
  file.managed:
    - name: {{ keepalived.state_script }}
    - source: salt://keepalived/files/keepalived-state.sh.jinja
    - template: jinja
    - context:
        keepalived: {{ keepalived | tojson }}
    - user: root
    - group: 0
    - mode: '0755'
{%- if keepalived.check %}

keepalived-config-check-script:
  file.managed:
    - name: {{ keepalived.state_script }}-check
    - contents:
      - '#!/bin/sh'
      - '# Written by Salt: salt/keepalived.'
      - {{ keepalived.check | tojson }}
    - user: root
    - group: 0
    - mode: '0755'
    - require_in:
      - file: keepalived-config-main
{%- endif %}

# A master without an address of its own is an oddity to keepalived's test, and the same exit code as a mistake.
keepalived-config-main:
  file.managed:
    - name: {{ keepalived.config }}
    - source: salt://keepalived/files/keepalived.conf.jinja
    - template: jinja
    - context:
        keepalived: {{ keepalived | tojson }}
    - check_cmd: sh -c 'said=$(keepalived -t -f "$0" 2>&1 | grep -v "No VIP specified; at least one is sensible"); test -z "$said" || { echo "$said"; false; }'
    - user: root
    - group: 0
    - mode: '0640'
    - makedirs: true
    - require:
      - pkg: keepalived-install-package
      - file: keepalived-config-state-script
{%- if keepalived.unit %}

keepalived-config-unit:
  file.managed:
    - name: {{ keepalived.unit }}
    - source: salt://keepalived/files/keepalived.service.jinja
    - template: jinja
    - context:
        keepalived: {{ keepalived | tojson }}
    - user: root
    - group: 0
    - mode: '0644'
    - makedirs: true
    - require:
      - file: keepalived-config-state-script

# Salt looks for systemd's warning of a changed unit on stdout; systemd writes it to stderr, and the old unit would start.
keepalived-config-unit-read:
  cmd.run:
    - name: systemctl daemon-reload
    - onchanges:
      - file: keepalived-config-unit
{%- endif %}
