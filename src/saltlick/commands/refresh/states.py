"""A refresh as a state, made from the result of the command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from saltlick.commands.refresh.commands import RefreshRunRequest, run
from saltlick.commands.state import result_text, state
from saltlick.salt_io.pillar import require_pillarenv

if TYPE_CHECKING:
    from collections.abc import Mapping

    from saltlick.jobs.request import Caller


def refreshed(opts: Mapping[str, Any], name: str, caller: Caller, **given: Any) -> dict[str, Any]:
    """Give an environment another's data; under test=True, check whether it may be."""

    def step() -> dict[str, Any]:
        require_pillarenv(opts, name)
        test = bool(opts.get("test"))
        result = run(opts, RefreshRunRequest.read(opts, caller, None, **given, target=name, test=test))
        if test:
            return {"result": None, "comment": result_text(result)}
        changed = {key: result.result[key] for key in ("server", "backups", "reached") if key in result.result}
        return {"result": not result.retcode, "changes": {name: changed}, "comment": result_text(result)}

    return state(name, step)
