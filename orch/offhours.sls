# Makes one environment what its hours say, where that was not done yet: off in order, or on and well. What a schedule runs.
#
#   salt-run state.orchestrate orch.offhours pillarenv=test
#   salt-run state.orchestrate orch.offhours pillarenv=test test=True
#
# The same as `salt-run offhours.run test`: one lock, one memory of what was done. Production is refused.
offhours:
  offhours.as_scheduled:
    - name: {{ opts.get('pillarenv') }}
    - lock_wait: {{ pillar.get('lock_wait', 0) }}
    - failhard: True
