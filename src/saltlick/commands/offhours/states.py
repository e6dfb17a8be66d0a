"""Off-hours as a state, for orchestrations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from saltlick.commands.offhours.commands import SwitchRequest, run
from saltlick.commands.state import result_text, state
from saltlick.salt_io.pillar import require_pillarenv

if TYPE_CHECKING:
    from collections.abc import Mapping

    from saltlick.jobs.request import Caller


def as_scheduled(opts: Mapping[str, Any], name: str, caller: Caller, **given: Any) -> dict[str, Any]:
    """Make the environment what its hours say; with `test=True`, show what would be switched."""

    def step() -> dict[str, Any]:
        require_pillarenv(opts, name)
        test = bool(opts.get("test"))
        result = run(opts, SwitchRequest.read(opts, caller, name, **given, test=test))
        changes = {
            outcome["name"]: outcome["came"]
            for outcome in result.result.get("outcomes", ())
            if outcome["came"] in {"done", "due"}
        }
        succeeded = None if test and changes else not result.retcode
        return {"result": succeeded, "changes": changes, "comment": result_text(result)}

    return state(name, step)
