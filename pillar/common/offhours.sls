# Nothing is switched off, unless an environment's own folder has an offhours.sls in place of this one (docs/offhours.md).
