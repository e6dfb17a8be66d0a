{%- from 'zeo/map.jinja' import zeo, facts with context %}
{%- from 'supervisor/map.jinja' import supervisor with context %}

include:
  - zeo.install

zeo-config-storage:
  file.managed:
    - name: {{ zeo.dir }}/zeo.conf
    - source: salt://zeo/files/zeo.conf.jinja
    - template: jinja
    - context:
        zeo: {{ zeo | tojson }}
    - user: root
    - group: {{ zeo.user }}
    - mode: '0640'
    - require:
      - file: zeo-install-dirs

zeo-config-start-script:
  file.managed:
    - name: {{ zeo.venv }}/bin/start-{{ zeo.name }}
    - source: salt://zeo/files/start.sh.jinja
    - template: jinja
    - context:
        zeo: {{ zeo | tojson }}
    - user: root
    - group: 0
    - mode: '0755'
    - require:
      - cmd: zeo-install-venv
{%- if zeo.here %}

zeo-config-program:
  file.managed:
    - name: {{ supervisor.program_dir }}/{{ zeo.name }}.conf
    - source: salt://zeo/files/program.conf.jinja
    - template: jinja
    - context:
        zeo: {{ zeo | tojson }}
    - user: root
    - group: 0
    - mode: '0644'
    - require:
      - sls: supervisor.config
      - file: zeo-config-storage
      - file: zeo-config-start-script
{%- else %}

zeo-config-program:
  file.absent:
    - name: {{ supervisor.program_dir }}/{{ zeo.name }}.conf
{%- endif %}

zeo-config-facts:
  file.managed:
    - name: /etc/saltlick/zeo.json
    - contents: {{ facts | json(sort_keys=True) | tojson }}
    - user: root
    - group: 0
    - mode: '0644'
    - makedirs: true
