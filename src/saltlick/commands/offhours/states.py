"""Off-hours as a state, for orchestrations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from saltlick.commands.offhours.commands import run
from saltlick.commands.state import state
from saltlick.salt_io.pillar import require_pillarenv

if TYPE_CHECKING:
    from collections.abc import Mapping


def as_scheduled(opts: Mapping[str, Any], name: str, *, lock_wait: object = 0, job: str = "") -> dict[str, Any]:
    """Make the environment what its hours say; with `test=True` say what that would be."""

    def step() -> dict[str, Any]:
        require_pillarenv(opts, name)
        dry = bool(opts.get("test"))
        answer = run(opts, name, test=dry, lock_wait=lock_wait, job=job)
        changes = {
            one["name"]: one["came"] for one in answer.result.get("outcomes", ()) if one["came"] in {"done", "due"}
        }
        text = answer.text if isinstance(answer.text, str) else answer.text(False)
        said = text or str(answer.result.get("error", ""))
        return {"result": (None if dry and changes else not answer.retcode), "changes": changes, "comment": said}

    return state(name, step)
