"""The database cluster that this server is a member of: who is the primary, and a change of that. For `salt-run database.…`.

Where Patroni runs the database (pillar `postgresql:failover`), it is asked; otherwise PostgreSQL alone.

Needs Salt and the standard library only, so a plain module sync carries it.
"""

import contextlib
import json
import sys
import time

from salt.exceptions import CommandExecutionError

# Loaded anew after a sync, in a process that lives on, this file would get the helpers of before: Python keeps them by name.
_HELPERS = ("_saltlick_backup_", "_saltlick_patroni", "_saltlick_user_")
for _helper in [name for name in sys.modules if name.startswith(_HELPERS)]:
    sys.modules.pop(_helper, None)
try:  # Beside this file first, as Salt's loader has it: an installed wheel may be another version.
    import _saltlick_backup_postgresql as _postgresql
    import _saltlick_patroni as _patroni
except ImportError:
    from saltlick.modules import _saltlick_backup_postgresql as _postgresql
    from saltlick.modules import _saltlick_patroni as _patroni

STREAMS = """
select coalesce(json_agg(json_build_object(
    'name', application_name, 'state', state, 'sync', sync_state, 'lag', pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)
)), '[]') from pg_stat_replication where application_name <> 'pg_receivewal'
"""
STANDBY = """
select json_build_object(
    'timeline', (select timeline_id from pg_control_checkpoint()),
    'receiving', exists (select from pg_stat_wal_receiver where status = 'streaming'),
    'replayed', pg_last_wal_replay_lsn()::text)
"""


def status():
    """
    Tell what this server's database is, and what it sees of the others.

    Returns ``role`` (``primary``, ``standby``, ``down``), ``seen`` (from what), ``streams`` (of a primary: ``name``, ``state``,
    ``sync``, ``lag`` in bytes for each standby), ``receiving`` (of a standby: whether it streams), ``members`` (the cluster's
    servers), and ``patroni``, empty without failover: ``answers``, ``why``, ``paused``, ``pending_restart``,
    ``voices`` (members of etcd and whether each answers).

    CLI Example:

    .. code-block:: bash

        salt 'prod-db-*' database.status
    """
    facts = _postgresql.facts()
    role = __salt__["dbrole.get"](by="postgresql")  # noqa: F821 - Salt's loader puts it in
    answer = {
        "role": role["role"],
        "seen": role["seen"],
        "streams": [],
        "receiving": False,
        "members": list(facts["members"]),
    }
    with contextlib.suppress(CommandExecutionError):  # it went down since: the next look says so
        if role["role"] == "primary":
            answer["streams"] = json.loads(_postgresql.ask(facts, STREAMS))
        elif role["role"] == "standby":
            answer["receiving"] = json.loads(_postgresql.ask(facts, STANDBY))["receiving"]
    return {**answer, "patroni": _of_patroni(facts)}


def _of_patroni(facts):
    if not facts.get("patroni"):
        return {}
    answer = {"answers": True, "why": "", "paused": False, "pending_restart": False}
    try:
        member = _patroni.member(facts)
        answer["paused"] = bool(member.get("pause"))
        answer["pending_restart"] = bool(member.get("pending_restart"))
        answer["state"] = str(member.get("state", ""))
        answer["role"] = str(member.get("role", ""))
    except CommandExecutionError as error:
        answer.update(answers=False, why=str(error))
    return {**answer, "voices": _patroni.voices(facts)}


def switchover(primary, within_s=60):
    """
    Make this server's database the primary in place of `primary`, which becomes its standby. No acknowledged write is lost.

    within_s
        how long it may take

    Returns ``{"seconds": …}``.

    CLI Example:

    .. code-block:: bash

        salt prod-db-2 database.switchover prod-db-1
    """
    facts, began = _with_patroni(), time.monotonic()
    _patroni.changed(facts, "/switchover", {"leader": primary, "candidate": facts["name"]}, timeout_s=float(within_s))
    _patroni.wait(facts, "/primary", float(within_s))
    return {"seconds": round(time.monotonic() - began, 1)}


def promote(within_s=60):
    """
    Make this server's database the primary where there is none.

    Raises:
        CommandExecutionError: another member is a primary, or Patroni refuses, with its words.

    CLI Example:

    .. code-block:: bash

        salt prod-db-2 database.promote
    """
    facts, began = _postgresql.facts(), time.monotonic()
    for name, address in facts["members"].items():
        if name != facts["name"] and _postgresql.is_primary(facts, address):
            raise CommandExecutionError(f"{name} is a primary and answers: a second one would split the data")
    if facts.get("patroni"):
        _patroni.changed(facts, "/failover", {"candidate": facts["name"]}, timeout_s=float(within_s))
        _patroni.wait(facts, "/primary", float(within_s))
    elif _postgresql.ask(facts, f"select pg_promote(true, {int(within_s)})", deadline_s=int(within_s)) != "t":
        raise CommandExecutionError(f"PostgreSQL was not promoted within {within_s} s")
    return {"seconds": round(time.monotonic() - began, 1)}


def reinit(within_s=3600):
    """
    Make this server's database anew, as a copy of the primary's. What it has is removed; without failover it is kept beside until
    the next time, as by ``backup.reseed``.

    Raises:
        CommandExecutionError: this server is the primary, or there is none to copy from.

    CLI Example:

    .. code-block:: bash

        salt prod-db-1 database.reinit
    """
    facts, began = _postgresql.facts(), time.monotonic()
    if facts.get("patroni"):
        _patroni.changed(facts, "/reinitialize", {"force": True})
        time.sleep(_patroni.ASK_AGAIN_S)
        _patroni.wait(facts, "/replica?replication_state=streaming", float(within_s))
    else:
        __salt__["backup.reseed"]()  # noqa: F821 - Salt's loader puts it in
    return {"seconds": round(time.monotonic() - began, 1)}


def pause(resume=False):
    """
    Switch automatic failover off for the whole cluster, or on again.

    CLI Example:

    .. code-block:: bash

        salt prod-db-1 database.pause
        salt prod-db-1 database.pause resume=True
    """
    facts = _with_patroni()
    _patroni.paused(facts, not resume)
    return {"paused": not resume}


def _with_patroni():
    facts = _postgresql.facts()
    if not facts.get("patroni"):
        raise CommandExecutionError("nothing manages this cluster: pillar postgresql:failover is not set")
    return facts
