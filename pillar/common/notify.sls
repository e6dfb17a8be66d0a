# Nobody is told, unless an environment's own folder has a notify.sls in place of this one (docs/notify.md).
