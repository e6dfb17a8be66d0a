"""Backups back into databases and folders: fetched, verified, tried beside what serves, then exchanged. Sibling of `backup`."""

import shutil
import time
from pathlib import Path

from salt.exceptions import CommandExecutionError

try:
    import _saltlick_backup_chains as _chains
    import _saltlick_backup_commands as _commands
    import _saltlick_backup_files as _files
    import _saltlick_backup_places as _places
    import _saltlick_backup_postgresql as _postgresql
    import _saltlick_backup_recovery as _recovery
    import _saltlick_backup_swap as _swap
    import _saltlick_backup_trees as _trees
    import _saltlick_backup_zodb as _zodb
except ImportError:
    from saltlick.modules import _saltlick_backup_chains as _chains
    from saltlick.modules import _saltlick_backup_commands as _commands
    from saltlick.modules import _saltlick_backup_files as _files
    from saltlick.modules import _saltlick_backup_places as _places
    from saltlick.modules import _saltlick_backup_postgresql as _postgresql
    from saltlick.modules import _saltlick_backup_recovery as _recovery
    from saltlick.modules import _saltlick_backup_swap as _swap
    from saltlick.modules import _saltlick_backup_trees as _trees
    from saltlick.modules import _saltlick_backup_zodb as _zodb

BEGIN = "/usr/local/sbin/postgresql-begin"
ANSWERS_WITHIN_S = 120
Order = _chains.Order


def postgresql(order, folder):
    """A cluster, recovered up to a moment."""
    facts, watch = _postgresql.facts(), _chains.Watch()
    data = _places.real(facts["data_dir"])
    target = data.with_name(f"{data.name}.restored")
    _places.exchangeable(data)
    manifests = _chains.described(order)
    _files.room(_chains.need(folder, manifests), (data.parent, _postgresql.laid_out(manifests), "the restored cluster"))
    chain = _chains.fetched(order, folder, manifests)
    watch("fetch")
    try:
        _recovery.lay_out(facts, chain, target)
        watch("lay_out")
        scratch = _recovery.recover(facts, target, order.until, order.deadline_s)
        try:
            watch("recover")
            reached = _postgresql.ask(scratch.cluster, "select coalesce(pg_last_xact_replay_timestamp()::text, '')")
            if order.swap and (own := _recovery.logins(facts)):
                # Whoever logs in here goes on with the password that he has here: the application, and standbys too.
                scratch.psql("postgres", own)
            for script in order.scripts:
                scratch.psql(_conninfo(script["database"]), script["sql"], deadline_s=order.deadline_s)
            checks = _checked(order.checks, scratch)
            watch("check")
        finally:
            scratch.stop()
        outcome = {"checks": checks, "reached": reached}
        if order.swap:
            scratch.finished()
            outcome["kept"] = _in_place(facts, data, target)
        else:
            _swap.rehearse([(target, data)])
        watch("swap")
        return {**outcome, "seconds": watch.seconds}
    finally:
        shutil.rmtree(target, ignore_errors=True)


def _in_place(facts, data, target):
    """The restored cluster serves; the former data lies beside. Where it does not come up, the former one serves again."""
    kept = _swap.aside(data)
    _swap.removed(kept)
    _service("stop", facts["receiver"], optional=True)
    _service("stop", facts["service"], optional=not (data / "PG_VERSION").exists())
    data.mkdir(mode=0o700, exist_ok=True)  # where a disk was lost
    try:
        _swap.exchange(target, data)
    except CommandExecutionError:
        _service("start", facts["service"], optional=True)
        _service("start", facts["receiver"], optional=True)
        raise
    try:
        _service("start", facts["service"])
        _answers(facts)
    except CommandExecutionError as error:
        _service("stop", facts["service"], optional=True)
        _swap.exchange(target, data)
        _service("start", facts["service"])
        _service("start", facts["receiver"], optional=True)
        raise CommandExecutionError(
            f"the restored cluster does not serve here, so the former one does again: {error}"
        ) from error
    target.rename(kept)
    _service("start", facts["receiver"], optional=True)  # which puts what it has of the former cluster aside
    return str(kept)


def _answers(facts):
    deadline = time.monotonic() + ANSWERS_WITHIN_S
    while True:
        try:
            return _postgresql.ask(facts, "select 1")
        except CommandExecutionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(1)


def reseed():
    """This server's cluster, made anew from the primary's."""
    facts = _postgresql.facts()
    data = _places.real(facts["data_dir"])
    kept = _swap.aside(data)
    elsewhere = [
        address for address in facts["members"].values()
        if _postgresql.is_primary(facts, address)
    ]  # fmt: skip
    if not elsewhere:
        raise CommandExecutionError(
            "no other member of this cluster is a primary, so there is nothing to be a standby of"
        )
    _places.exchangeable(data)
    _swap.removed(kept)
    _service("stop", facts["receiver"], optional=True)
    _service("stop", facts["service"])
    data.rename(kept)
    try:
        _commands.run([BEGIN], deadline_s=3600)
        if not (data / "standby.signal").exists():  # the primary went away, and an empty cluster was begun
            raise CommandExecutionError("there was no primary any more")
    except CommandExecutionError as error:
        shutil.rmtree(data, ignore_errors=True)
        kept.rename(data)
        _service("start", facts["service"])
        raise CommandExecutionError(
            f"no copy of the primary could be made, so what was here serves on: {error}"
        ) from error
    _service("start", facts["service"])
    _answers(facts)
    _service("start", facts["receiver"], optional=True)
    return {"role": _postgresql.role(facts), "kept": str(kept)}


def zodb(order, folder):
    """Data.fs with its blobs."""
    facts, watch = _zodb.facts(), _chains.Watch()
    (data, beside), (blobs, _) = _zodb.places(facts)
    target = data.with_name(f".{data.name}.restored")
    pairs = [(target / "Data.fs", data), (target / "blobs", blobs)]
    for _, place in pairs:
        _places.exchangeable(place, beside)
    manifests = _chains.described(order)
    _files.room(_chains.need(folder, manifests), (data.parent, _zodb.laid_out(manifests), "the restored ZODB"))
    chain = _chains.fetched(order, folder, manifests)
    watch("fetch")
    try:
        seen = _zodb.restore(facts, chain, target, order.deadline_s)
        watch("recover")
        outcome = {
            "checks": [{"name": "every transaction and blob", "value": seen, "ok": True}],
            "reached": seen["last"],
        }
        outcome["checks"] += _checked(order.checks, None)
        if order.swap:
            _files.given(target, _commands.account(facts["user"]))
            outcome["kept"] = _zodb_in_place(facts, pairs, target, _swap.aside(data))
        else:
            _swap.rehearse(pairs)
        watch("swap")
        return {**outcome, "seconds": watch.seconds}
    finally:
        shutil.rmtree(target, ignore_errors=True)


def _zodb_in_place(facts, pairs, target, kept):
    """Both parts are exchanged while nobody serves them, or neither is."""
    _swap.removed(kept)
    _program("stop", facts)
    try:
        _swap.replace(pairs)
        for name in (".index", ".tmp", ".lock"):
            Path(facts["data"] + name).unlink(missing_ok=True)
    finally:
        _program("start", facts)
    target.rename(kept)
    return str(kept)


def directories(order, folder):
    """Folders, each exchanged for what was restored beside it."""
    watch, manifests = _chains.Watch(), _chains.described(order)
    places = _places.apart(manifests[-1]["directories"], folder)
    pairs = [(_fresh(place), place) for place in places.values()]
    _trees.owners_known(manifests[-1])
    for place in places.values():
        _places.exchangeable(place)
    unpacked = [(place.parent, _trees.laid_out(manifests, path), path) for path, place in places.items()]
    _files.room(_chains.need(folder, manifests), *unpacked)
    _chains.fetched(order, folder, manifests)
    watch("fetch")
    try:
        for path, place in places.items():
            archives, fresh = [folder / link["id"] / link["directories"][path] for link in manifests], _fresh(place)
            _swap.removed(fresh)
            _trees.unpack(archives, fresh, order.deadline_s)
        checks = _checked(order.checks, None)
        watch("recover")
        kept = []
        if order.swap:
            for _, place in pairs:
                _swap.removed(_swap.aside(place))
            _swap.replace(pairs)
            for fresh, place in pairs:
                if fresh.exists():
                    fresh.rename(_swap.aside(place))
                    kept.append(str(_swap.aside(place)))
        else:
            _swap.rehearse(pairs)
        watch("swap")
        return {"checks": checks, "reached": manifests[-1]["began"], "kept": kept, "seconds": watch.seconds}
    finally:
        for fresh, _ in pairs:
            shutil.rmtree(fresh, ignore_errors=True)


def _fresh(place):
    return place.with_name(f".{place.name}.restored")


KINDS = {"postgresql": postgresql, "zodb": zodb, "directories": directories}


def _checked(checks, scratch):
    """What each check found. Raises: CommandExecutionError with every one that failed."""
    results = [_result_of(check, scratch) for check in checks]
    if bad := [f"{result['name']}: {result['why']}" for result in results if not result["ok"]]:
        raise CommandExecutionError(f"{len(bad)} of {len(results)} checks failed: {'; '.join(bad)}")
    return results


def _conninfo(database):
    """A database by its name, whatever is in it: libpq takes what has a `=` or begins with `postgresql:` for more than a name."""
    quoted = database.replace("\\", "\\\\").replace("'", "\\'")
    return f"dbname='{quoted}'"


def _result_of(check, scratch):
    name = check["name"]
    try:
        if check.get("query"):
            value = scratch.psql(_conninfo(check["database"]), check["query"])
        else:
            env = {"PGHOST": scratch.cluster["socket_dir"], "PGPORT": str(scratch.cluster["port"])} if scratch else {}
            value = _commands.run(
                ["sh", "-c", check["command"]], user=check.get("user", ""), env=env, deadline_s=300
            ).strip()
    except CommandExecutionError as error:
        return {"name": name, "ok": False, "why": str(error)}
    return {"name": name, "value": value, **_verdict(check, value)}


def _verdict(check, value):
    if check.get("equals") is not None and value != str(check["equals"]):
        return {"ok": False, "why": f"is {value!r} and not {str(check['equals'])!r}"}
    if check.get("at_least") is not None:
        try:
            if float(value) < float(check["at_least"]):
                return {"ok": False, "why": f"is {value}, less than {check['at_least']}"}
        except ValueError:
            return {"ok": False, "why": f"{value!r} is no number"}
    return {"ok": True}


def _service(verb, name, optional=False):
    """Source: `service`, which Debian, Red Hat and FreeBSD all have."""
    if not name:
        return
    _commands.run(["service", name, verb], deadline_s=300, allowed=tuple(range(256)) if optional else (0,))


def _program(verb, facts):
    _commands.run(["supervisorctl", verb, facts["program"]], deadline_s=120)
