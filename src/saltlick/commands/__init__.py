"""Where Salt meets the core: the only room that imports `salt`. Runners and states call what is here and nothing else.

tell(opts, context, command, …)   runs a command for a runner: its answer as data with an exit code, never an exception
commands, locks                   what runners offer
environments, objects             what states offer
"""

from saltlick.commands.result import run_command
from saltlick.salt_io.keys import MinionKey, SaltKeys, finger, master_finger
from saltlick.salt_io.pillar import pillar_of

__all__ = ["MinionKey", "SaltKeys", "finger", "master_finger", "pillar_of", "run_command"]
