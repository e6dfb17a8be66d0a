{%- from 'zeo/map.jinja' import zeo with context %}

include:
  - supervisor

zeo-install-packages:
  pkg.installed:
    - install_recommends: false
    - pkgs: {{ zeo.packages | tojson }}

zeo-install-user:
  user.present:
    - name: {{ zeo.user }}
    - home: {{ zeo.dir }}
    - shell: {{ zeo.shell }}
    - createhome: false
    - system: true
    - usergroup: true

# The blobs' own directory is made by the storage, when it makes Data.fs.
zeo-install-dirs:
  file.directory:
    - names:
      - {{ zeo.dir }}
      - {{ zeo.dir }}/filestorage
      - {{ zeo.log_dir }}
    - user: {{ zeo.user }}
    - group: {{ zeo.user }}
    - mode: '0700'
    - require:
      - user: zeo-install-user

zeo-install-venv:
  cmd.run:
    - name: {{ zeo.python }} -m venv {{ zeo.venv }}
    - creates: {{ zeo.venv }}/bin/pip
    - require:
      - pkg: zeo-install-packages

zeo-install-requirements:
  file.managed:
    - name: {{ zeo.venv }}/requirements.txt
    - contents: {{ zeo.pip | tojson }}
    - user: root
    - group: 0
    - mode: '0644'
    - require:
      - cmd: zeo-install-venv

zeo-install-pip:
  cmd.run:
    - name: bin/pip install --quiet --disable-pip-version-check -r requirements.txt && cp requirements.txt installed.txt
    - cwd: {{ zeo.venv }}
    - unless: cmp -s {{ zeo.venv }}/requirements.txt {{ zeo.venv }}/installed.txt
    - require:
      - file: zeo-install-requirements
