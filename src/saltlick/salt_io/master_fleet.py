"""Steps that run on the master: functions of runners, or execution functions as the master itself has them."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Any

import salt.minion
import salt.runner
import salt.utils.args
import salt.utils.jid

from saltlick.fleet.ports import Call, Reply
from saltlick.salt_io.fleet import misread
from saltlick.salt_io.replies import reply_of, why

if TYPE_CHECKING:
    from collections.abc import Mapping

    from saltlick.engine.ports import Clock


class MasterFleet:
    """A `Fleet` whose calls all run here, one after another; the servers they are addressed to say on whose behalf."""

    def __init__(self, opts: Mapping[str, Any], clock: Clock) -> None:
        self._opts = dict(opts)
        self._clock = clock
        self._runners: Any = None
        self._minion: Any = None

    def run(self, calls: Mapping[str, Call], *, deadline_s: float) -> Mapping[str, Reply]:
        """One reply per call. What does not end in time is left behind: nothing on this side of a function can stop it."""
        return {server: self._reply(call, deadline_s) for server, call in calls.items()}

    def _reply(self, call: Call, deadline_s: float) -> Reply:
        if refusal := misread(call):
            return Reply(False, error=refusal)
        began = self._clock.now()
        result: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()
        work = threading.Thread(
            target=lambda: result.put(self._call(call)), name=f"on master: {call.function}", daemon=True
        )
        work.start()
        try:
            content = result.get(timeout=deadline_s)
        except queue.Empty:
            error = f"{call.function} on the master: not done in {deadline_s:g} s; it may still run"
            return Reply(False, error=error, silent=True, duration_ms=self._since_ms(began))
        return reply_of(call.function, content, self._since_ms(began))

    def _call(self, call: Call) -> Mapping[str, Any]:
        """As a minion would return it. Runners come first: where both have a function, the master's own is meant."""
        try:
            if call.function in self.runners.functions:
                return self._quiet_runner(call) if call.hide else self._runner(call)
            if call.function in self.modules:
                return self._module(call)
        except Exception as error:  # the border of one call: whatever a function raises is its result
            return {"return": f"ERROR: {type(error).__name__}: {error}", "retcode": 1, "success": False}
        message = f"'{call.function}' is not available on the master, neither as a runner nor as an execution function."
        return {"return": message, "retcode": 1, "success": False}

    def _runner(self, call: Call) -> Mapping[str, Any]:
        """A runner's exception comes as text, with `success` False; its own `retcode` counts too."""
        getattr(self.runners, "context", {}).pop("retcode", None)  # of the call before
        returned = self.runners.cmd(
            call.function, list(call.args), kwarg=dict(call.kwargs), print_event=False, full_return=True
        )
        value = returned.get("return")
        own = value.get("retcode", 0) if isinstance(value, dict) else 0
        retcode = returned.get("retcode") or own or (0 if returned.get("success", True) else 1)
        if retcode and isinstance(value, str):
            value = f"ERROR: {why(call.function, value, retcode).removeprefix(f'{call.function}: ')}"
        return {"return": value, "retcode": retcode, "success": not retcode}

    def _quiet_runner(self, call: Call) -> Mapping[str, Any]:
        """A runner with secrets among its arguments: Salt's client would put them on the bus and into the job cache."""
        context = getattr(self.runners, "context", {})
        context.pop("retcode", None)
        value = self.runners.functions[call.function](*call.args, **dict(call.kwargs))
        retcode = context.pop("retcode", 0) or (value.get("retcode", 0) if isinstance(value, dict) else 0)
        return {"return": value, "retcode": retcode, "success": not retcode}

    def _module(self, call: Call) -> Mapping[str, Any]:
        """An execution function says with `__context__["retcode"]` that it failed.

        The call comes with a publication, as on a minion: `cmd.run` takes its text for the shell's only then.
        """
        context = self.modules.pack["__context__"]
        context.pop("retcode", None)
        published = {"fun": call.function, "jid": salt.utils.jid.gen_jid(self._opts)}
        given = salt.utils.args.condition_input(list(call.args), dict(call.kwargs))
        args, kwargs = salt.minion.load_args_and_kwargs(self.modules[call.function], given, published)
        value = self.modules[call.function](*args, **kwargs)
        retcode = context.pop("retcode", 0)
        return {"return": value, "retcode": retcode, "success": not retcode}

    def _since_ms(self, began: float) -> int:
        return round((self._clock.now() - began) * 1000)

    @property
    def runners(self) -> Any:
        """The runners, loaded when first used."""
        if self._runners is None:
            self._runners = salt.runner.RunnerClient(self._opts)
        return self._runners

    @property
    def modules(self) -> Any:
        """The master's execution modules, loaded when first used."""
        if self._minion is None:
            self._minion = salt.minion.MasterMinion(self._opts, returners=False, states=False, rend=False)
        return self._minion.functions

    def close(self) -> None:
        """Let go of their sockets."""
        for loaded in (self._runners, self._minion):
            if hasattr(loaded, "destroy"):
                loaded.destroy()
        self._runners = self._minion = None
