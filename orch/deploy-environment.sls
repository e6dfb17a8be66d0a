# Builds and configures one environment, from nothing or from wherever it is. Again = no change.
#
#   salt-run state.orchestrate orch.deploy-environment pillarenv=prod
#   salt-run state.orchestrate orch.deploy-environment pillarenv=prod pillar='{"replace": "app-1", "lock_wait": 600}'
#
# lock → network and servers → admission → modules → services, tier by tier → the page → what runs by schedule → unlock
#
# Any step that fails ends the run there. However it ends, Ctrl-C included, the lock is given back: `locked` sees to that.
{%- set name = opts.get('pillarenv') or '' %}
{%- set found = salt['saltutil.runner']('environment.tiers', arg=[name]) %}

{%- if found.get('error') or not found.get('tiers') is sequence %}

refused:
  test.configurable_test_state:
    - name: {{ name or 'no environment' }}
    - result: False
    - changes: False
    - comment: {{ (found.get('error') or 'the servers of ' ~ name ~ ' cannot be told: ' ~ found) | json }}
    - failhard: True

{%- else %}
{%- set minions = found.tiers | sum(start=[]) %}

lock:
  environment.locked:
    - name: {{ name }}
    - reason: deploy-environment
    - lock_wait: {{ pillar.get('lock_wait', 0) }}
    - failhard: True

network and servers:
  environment.present:
    - name: {{ name }}
    - replace: {{ pillar.get('replace', []) | json }}
    - prune: {{ pillar.get('prune', False) | json }}
    - failhard: True
    - require:
      - environment: lock

{%- if minions %}

admission:
  environment.admitted:
    - name: {{ name }}
    - failhard: True
    - require:
      - environment: network and servers

# Lists only, and everybody on the list has to answer: a server that is gone must not pass for one that is well.
modules:
  environment.synced:
    - name: {{ name }}
    - servers: {{ minions | json }}
    - failhard: True
    - require:
      - environment: admission
{%- endif %}

{%- for tier in found.tiers %}

services of tier {{ loop.index }}:
  environment.configured:
    - name: {{ name }}
    - servers: {{ tier | json }}
    - failhard: True
    - require:
      - environment: {{ 'modules' if loop.first else 'services of tier ' ~ loop.index0 }}
{%- endfor %}

{%- if pillar.environment.get('balancers') %}

page:
  environment.reachable:
    - name: {{ name }}
    - failhard: True
    - require:
      - environment: {{ 'services of tier ' ~ found.tiers | length if found.tiers else 'network and servers' }}
{%- endif %}

{%- if minions %}

schedule:
  environment.scheduled:
    - name: {{ name }}
    - failhard: True
{%- endif %}

unlock:
  environment.unlocked:
    - name: {{ name }}
    - order: last
{%- endif %}
