# Deletes everything of one environment, in order, and forgets its servers' keys. Refuses production and protected resources.
#
#   salt-run state.orchestrate orch.destroy-environment pillarenv=test pillar='{"confirm": "test"}'
#
# A bucket with backups in it is refused; with "keep": "bucket/backups" it stays, and all else goes.
{%- set name = opts.get('pillarenv') or '' %}
{%- set found = salt['saltutil.runner']('environment.validate', arg=[name]) %}

{%- if found.get('error') %}

refused:
  test.configurable_test_state:
    - name: {{ name or 'no environment' }}
    - result: False
    - changes: False
    - comment: {{ found.error | json }}
    - failhard: True

{%- else %}

lock:
  environment.locked:
    - name: {{ name }}
    - reason: destroy-environment
    - lock_wait: {{ pillar.get('lock_wait', 0) }}
    - failhard: True

everything:
  environment.absent:
    - name: {{ name }}
    - confirm: {{ pillar.get('confirm', '') | json }}
    - keep: {{ pillar.get('keep', []) | json }}
    - failhard: True
    - require:
      - environment: lock

unlock:
  environment.unlocked:
    - name: {{ name }}
    - order: last
{%- endif %}
