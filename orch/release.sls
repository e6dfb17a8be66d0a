# Puts one revision onto the application servers of one environment, with no failed request, and back when anything fails.
#
#   salt-run state.orchestrate orch.release pillarenv=prod pillar='{"release": {"rev": "f5d9859"}}'
#   salt-run state.orchestrate orch.release pillarenv=prod pillar='{"release": {"rev": "v2.3", "batch": "1,50%,100%"}}' test=True
#
# The same as `salt-run release.rolling prod rev=f5d9859`: one lock, one journal, one history.
release:
  release.rolled:
    - name: {{ opts.get('pillarenv') }}
    - failhard: True
