{%- from 'backup/map.jinja' import backup, kinds with context %}

# The stores' passwords stay in pillar: _modules/backup.py hands them on by environment.
backup-install-dir:
  file.directory:
    - name: /var/lib/saltlick/backup
    - user: root
    - group: 0
    - mode: '0711'
    - dir_mode: '0711'
    - makedirs: true
{%- for kind in kinds | sort %}

backup-install-{{ kind }}:
  pkg.installed:
    - name: {{ backup[kind] }}
{%- endfor %}
