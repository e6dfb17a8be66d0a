"""Where Salt meets the core: the only room that imports `salt`. Runners and states call what is here and nothing else.

tell(opts, context, command, …)   runs a command for a runner: its answer as data with an exit code, never an exception
commands, locks                   what runners offer
environments, objects             what states offer
"""

from saltlick.saltside.answer import tell
from saltlick.saltside.keys import Keys, MinionKey, finger, master_finger
from saltlick.saltside.pillar import pillar_of

__all__ = ["Keys", "MinionKey", "finger", "master_finger", "pillar_of", "tell"]
