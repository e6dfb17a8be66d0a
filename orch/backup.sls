# Backups of one environment, and whether they are what its pillar promises: for those who schedule by orchestrate.
#
#   salt-run state.orchestrate orch.backup pillarenv=prod
#   salt-run state.orchestrate orch.backup pillarenv=prod pillar='{"job": "database", "mode": "incr"}'
backups:
  backup.taken:
    - name: {{ opts.get('pillarenv') or '' }}
    - job: {{ pillar.get('job', '') | json }}
    - mode: {{ pillar.get('mode', 'full') | json }}
    - failhard: True

freshness:
  backup.freshness:
    - name: {{ opts.get('pillarenv') or '' }}
    - job: {{ pillar.get('job', '') | json }}
    - require:
      - backup: backups
