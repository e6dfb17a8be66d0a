# One environment's data in another, masked and proved before anybody sees it: for those who schedule by orchestrate.
#
#   salt-run state.orchestrate orch.refresh pillarenv=test
#
# As `salt-run refresh.run source=prod target=test`; done when the balancer, which had no server meanwhile, answers again.
# Production never gets any data, whatever the arguments.
{%- set source = pillar.get('source') or pillar.get('refresh', {}).get('source', '') %}
data:
  refresh.refreshed:
    - name: {{ opts.get('pillarenv') or '' }}
    - source: {{ source | json }}
    - lock_wait: {{ pillar.get('lock_wait', 0) }}
    - failhard: True
{%- if pillar.get('environment', {}).get('balancers') %}

page:
  environment.reachable:
    - name: {{ opts.get('pillarenv') or '' }}
    - require:
      - refresh: data
{%- endif %}
