"""Salt's bus, keys, pillar and secrets, as the core's ports. Only this room and `commands` import Salt."""
