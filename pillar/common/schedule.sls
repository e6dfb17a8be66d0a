# What the master's own minion does by itself: nothing, unless an environment's own folder has a schedule.sls in place of this one
# (pillar/common/examples/offhours/schedule.sls).
