"""Call a function of this server and sign what came of it: the one door through which a master of Saltlick asks its servers.

Any accepted minion may fire an event that looks like another's return. So each reply is signed with this minion's key, together
with the job, the function and this minion's id, and the master believes only what the key that it accepted for it has signed.

Secrets arrive encrypted to this minion's key, because each minion of a master can read every job. They are opened here, in the
process that runs the function, and are taken out of what it returns.

Needs Salt and the standard library only (cryptography is Salt's), so a plain module sync carries it, with the helpers beside it.
"""

# ruff: noqa: F821 - Salt's loader puts the dunders in
import sys
from pathlib import Path

import salt.minion
from salt.exceptions import CommandExecutionError

# Loaded anew after a sync, in a process that lives on, this file would get the helpers of before: Python keeps them by name.
for _helper in [name for name in sys.modules if name.startswith("_saltlick_call_")]:
    sys.modules.pop(_helper, None)
try:  # Beside this file first, as Salt's loader has it: an installed wheel may be another version.
    import _saltlick_call_outcome as _outcome
    import _saltlick_call_seal as _seal
except ImportError:
    from saltlick.modules import _saltlick_call_outcome as _outcome
    from saltlick.modules import _saltlick_call_seal as _seal


def run(function, args=(), kwargs=None, hide=(), **published):
    """
    Call a function and return its signed outcome.

    function
        execution function, as ``service.restart``
    args
        list of its arguments
    kwargs
        its named arguments
    hide
        secrets of earlier calls, encrypted, that must not be in what this one returns

    Returns ``{"signed": "<JSON>", "signature": "<base64>"}``. The JSON holds ``jid``, ``id``, ``function``, ``return``,
    ``retcode`` and ``success``, as a Salt return has them.

    Raises:
        CommandExecutionError: this was not called by a master, or a secret is not encrypted to this minion.

    CLI Example:

    .. code-block:: bash

        salt prod-app-1 saltlick_call.run service.status args='[nginx]'
    """
    jid = str(published.get("__pub_jid") or "")
    if not jid:
        raise CommandExecutionError("saltlick_call.run is for calls of a master: they have a job id, and this has none")
    key = _seal.private_key(Path(__opts__["pki_dir"]) / "minion.pem")
    secrets = {}
    _seal.opened(key, list(hide), secrets)
    typed = [
        *_seal.opened(key, list(args), secrets),
        {"__kwarg__": True, **_seal.opened(key, dict(kwargs or {}), secrets)},
    ]
    _outcome.shown_as(__opts__, jid, function)
    outcome = _outcome.of(__salt__, __context__, function, lambda call: salt.minion.load_args_and_kwargs(
        call, typed, {**_outcome.published(published), "fun": function}
    ))  # fmt: skip
    # Plain first: a secret may be in bytes, in a set, or in the text of an object.
    facts = _seal.plain({"jid": jid, "id": __opts__["id"], "function": function, **outcome})
    return _seal.signed(key, _outcome.without(secrets, facts))
