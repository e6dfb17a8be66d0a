# No environment gets another's data, unless its own folder has a refresh.sls in place of this one (docs/refresh.md).
