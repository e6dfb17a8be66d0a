{%- from 'salt_minion/map.jinja' import salt_minion with context %}

include:
  - salt_minion.config

# A minion that restarts inside its own highstate kills the job that restarts it, or loses its answer.
# So the restart is handed to the init system and waits there until the minion has no job. A file says that it is to come: the
# script deletes it when the new minion has started, and a deployment waits for that.
salt_minion-service-restart:
  cmd.run:
    - name: >-
        touch /var/run/saltlick-minion-restart &&
        {{ salt_minion.restart.detach }}
        {{ grains['pythonexecutable'] }} {{ salt_minion.restart.script }}
        {{ salt_minion.config_dir }}/minion {{ salt_minion.service }} {{ salt_minion.restart.deadline_s }}
        || { rm -f /var/run/saltlick-minion-restart; exit 1; }
    - require:
      - file: salt_minion-config-restart-script
    - onchanges:
      - file: salt_minion-config-settings
