"""A refresh as a state: what the command of `refreshes` answers, as a state's return."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from saltlick.commands.refresh import commands
from saltlick.commands.state import state
from saltlick.salt_io.pillar import require_pillarenv

if TYPE_CHECKING:
    from collections.abc import Mapping


def refreshed(
    opts: Mapping[str, Any], name: str, *, source: str, lock_wait: object = 0, jid: str = ""
) -> dict[str, Any]:
    """Give an environment another's data; under test=True, ask everybody whether it may be."""

    def step() -> dict[str, Any]:
        require_pillarenv(opts, name)
        test = bool(opts.get("test"))
        answer = commands.run(opts, source=source, target=name, test=test, lock_wait=lock_wait, jid=jid)
        if test:
            return {"result": None, "comment": str(answer.text)}
        told = {key: answer.result[key] for key in ("server", "backups", "reached") if key in answer.result}
        return {"result": not answer.retcode, "changes": {name: told}, "comment": str(answer.text)}

    return state(name, step)
