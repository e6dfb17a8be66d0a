{%- from 'supervisor/map.jinja' import supervisor with context %}

include:
  - supervisor.install

supervisor-config-dirs:
  file.directory:
    - names:
      - {{ supervisor.program_dir }}
      - {{ supervisor.log_dir }}
    - user: root
    - group: 0
    - mode: '0755'
    - require:
      - sls: supervisor.install

supervisor-config-main:
  file.managed:
    - name: {{ supervisor.config }}
    - source: salt://supervisor/files/supervisord.conf.jinja
    - template: jinja
    - context:
        supervisor: {{ supervisor | tojson }}
    - user: root
    - group: 0
    - mode: '0644'
    - require:
      - file: supervisor-config-dirs
