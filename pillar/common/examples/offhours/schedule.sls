# Nights off by the master's own clock: copy this to pillar/control/schedule.sls, the pillar of the master's own minion. It takes
# it up by itself (or at once: salt salt-master saltutil.refresh_pillar).
#
# Every ten minutes, because most runs have nothing to do and say so in a second or two, and because that is how late a missed
# hour, or the end of `keep_on`, can be. `offhours.run` decides; a second one never starts while the first still works.
schedule:
  offhours-test:
    function: saltutil.runner
    args: [offhours.run]
    kwargs: {arg: [test]}
    minutes: 10
    maxrunning: 1
    return_job: true
