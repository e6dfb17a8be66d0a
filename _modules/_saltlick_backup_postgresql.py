"""PostgreSQL: a base backup, and the WAL that came after it. Sibling of `backup`.

A full backup is what `pg_basebackup` makes, with the WAL it needs. An incremental one is the WAL since the backup before it, as
`pg_receivewal` received it from this very server (a standby feeds it just as well), up to a moment that is asked of the primary.
"""

import json
import os
import re
import time
from datetime import datetime, timezone
from pathlib import Path

from salt.exceptions import CommandExecutionError

try:
    import _saltlick_backup_commands as _commands
    import _saltlick_backup_files as _files
    import _saltlick_backup_places as _places
except ImportError:
    from saltlick.modules import _saltlick_backup_commands as _commands
    from saltlick.modules import _saltlick_backup_files as _files
    from saltlick.modules import _saltlick_backup_places as _places

FACTS = Path("/etc/saltlick/postgresql.json")
SEGMENT = re.compile(r"([0-9A-F]{8})([0-9A-F]{16})(\.partial)?")
SEGMENT_BYTES = 16 * _files.MB
STOPPED = re.compile(r"(?:before|after) (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?[+-]\d\d(?::\d\d){0,2})")
"""Of backups whose manifests do not say it; `initdb --wal-segsize` makes clusters of other sizes."""
LOG_BYTES = 1 << 32
KEEP_RECEIVED = 8
"""Segments that stay in the archive folder after they are in a store, so that a run that failed later can be repeated."""
RECEIVED_WITHIN_S = 60
RECEIVED = "select max(write_lsn) from pg_stat_replication where application_name = 'pg_receivewal'"
FLUSHED = "select extract(epoch from clock_timestamp()), pg_current_wal_flush_lsn()"


class Chain(Exception):
    """The WAL here does not join on to the last backup; the message says why."""


def facts():
    """What the formula wrote down of this server. Raises: CommandExecutionError."""
    cluster = _files.read(FACTS)
    if not cluster:
        raise CommandExecutionError(f"{FACTS} is not there: the formula `postgresql` writes it on servers of that role")
    return cluster


def ask(cluster, query, deadline_s=30, host=None):
    """One value from the server, as its superuser by socket; from `host`, as the replication user with its passfile."""
    where = ["-h", cluster["socket_dir"], "-p", cluster["port"], "-d", cluster.get("database", "postgres")]
    env = {
        "PGCONNECT_TIMEOUT": "10",
        "PGOPTIONS": f"{cluster.get('options', '')} -c statement_timeout={deadline_s * 1000}",
    }
    if host:
        login = f"user={cluster['replication_user']} passfile={cluster['passfile']}"
        where = ["-d", f"host={host} port={cluster['port']} dbname=postgres {login}"]
    command = [f"{cluster['bin_dir']}/psql", "-XAtqw", "-v", "ON_ERROR_STOP=1", *where, "-c", query]
    return _commands.run(command, user=cluster["user"], env=env, deadline_s=deadline_s + 15).strip()


def role(cluster):
    """``standby`` or ``primary``, as the server itself says. Raises: CommandExecutionError when it does not answer."""
    return "standby" if ask(cluster, "select pg_is_in_recovery()") == "t" else "primary"


def is_primary(cluster, address):
    """Whether the member at that address answers, and is a primary."""
    try:
        return ask(cluster, "select pg_is_in_recovery()", deadline_s=5, host=address) == "f"
    except CommandExecutionError:
        return False  # down, or this server itself: a server does not let itself in as a standby


TABLESPACES = """
select coalesce(string_agg(format('%s (%s)', spcname, pg_tablespace_location(oid)), ', ' order by spcname), '')
from pg_tablespace where spcname not in ('pg_default', 'pg_global')
"""


def uncovered(cluster):
    """What of this server no backup covers, and what to do; empty where there is nothing."""
    if has := ask(cluster, TABLESPACES):
        return (
            f"this server has tablespaces of its own, which backups do not cover: {has}. Move what is in them to pg_default"
            " (alter table … set tablespace pg_default, alter database … set tablespace pg_default) and drop them"
        )
    return ""


def laid_out(manifests):
    """Bytes that a restored cluster takes: the databases, and twice the WAL, which is copied to where it is replayed."""
    parts = [link["postgresql"] for link in manifests]
    wal = sum(part.get("segments", 0) * part.get("segment_bytes", SEGMENT_BYTES) for part in parts)
    return max(link["raw_size"] for link in manifests) + 2 * wal


def take(folder, mode, last, before, options, deadline_s, others=()):
    """
    Put a backup's files into an empty folder; ``last`` is the manifest before it or empty, ``before`` those of backups before
    a full one and ``others`` those of other timelines, each newest first.

    Returns what the manifest is to say: ``mode`` as it became, ``why``, ``raw_size`` in bytes, ``versions``, ``postgresql``.
    """
    cluster = facts()
    if why := uncovered(cluster):
        raise CommandExecutionError(why)
    manifest = {
        "versions": {"postgresql": ask(cluster, "show server_version")},
        "raw_size": int(ask(cluster, "select sum(pg_database_size(oid)) from pg_database")),
        "role": role(cluster),
        "warnings": _places.warnings(_places.real(cluster["data_dir"]), looked=_places.cluster),
    }
    own = {
        "system": ask(cluster, "select system_identifier from pg_control_system()"),
        "segment_bytes": int(ask(cluster, "select setting from pg_settings where name = 'wal_segment_size'")),
    }
    if mode == "incr":
        try:
            _same(last, own)
            joined, wal = _received(cluster, folder, [*before, last, *others], own)
            links = _links(wal, joined, last, others)
            return {**manifest, **links, "mode": "incr", "postgresql": {**own, **wal}}
        except Chain as why:
            manifest["why"] = str(why)
            _files.emptied(folder)
    base = _base(cluster, folder, options, own["segment_bytes"], deadline_s)
    return {**manifest, "mode": "full", "postgresql": {**own, **base}}


def _links(wal, joined, last, others):
    """On which backup an increment builds that holds the WAL since ``joined``: the last one, unless its timeline goes on from
    another; then the newest since ``joined``."""
    since = [link for link in others if link["sequence"] > joined["sequence"]]
    on = next((link for link in (last, *since) if _continues(wal, link)), joined)
    base = {} if on is last else {"previous": on["id"], "base": on["base"] or on["id"]}
    return base | ({} if joined is on else {"follows": joined["id"]})


def _continues(wal, link):
    try:
        goes_on(wal["timeline"], wal, link["postgresql"])
    except Chain:
        return False
    return True


def _same(last, own):
    if not last:
        raise Chain("there is no backup yet that WAL could join on to")
    if last["postgresql"]["system"] != own["system"]:
        raise Chain("the last backup is of another database cluster")
    if (size := segment_bytes(last["postgresql"])) != own["segment_bytes"]:
        raise Chain(f"the last backup has WAL in segments of {size} bytes, and this server of {own['segment_bytes']}")


def segment_bytes(part):
    """Size of a WAL segment, as the `postgresql` of a manifest has it."""
    return part.get("segment_bytes", SEGMENT_BYTES)


def _base(cluster, folder, options, segment, deadline_s):
    """`pg_basebackup` as compressed tar files, checksums in PostgreSQL's own manifest."""
    user = _commands.account(cluster["user"])
    place = folder / "base"
    place.mkdir(mode=0o700)
    _files.given(place, user)
    data_bytes = int(ask(cluster, "select sum(pg_database_size(oid)) from pg_database"))
    _files.room((folder, data_bytes, "the base backup"))
    reaches, _ = _flushed(cluster)
    command = [
        f"{cluster['bin_dir']}/pg_basebackup", "-w", "-h", cluster["socket_dir"], "-p", cluster["port"],
        "-D", place, "-Ft", "-Z", "1",
        "-X", "stream", "-c", "fast", "--manifest-checksums=SHA256", "--no-slot", "-l", f"saltlick {folder.name}",
        *([f"--max-rate={options['max_rate_mb']}M"] if options.get("max_rate_mb") else []),
    ]  # fmt: skip
    _commands.run(command, user=cluster["user"], deadline_s=deadline_s)
    consistent, _ = _flushed(cluster)
    os.chown(place, 0, 0)
    _files.plain(place)
    ranges = json.loads((place / "backup_manifest").read_text("utf-8"))["WAL-Ranges"]
    timeline, end = int(ranges[-1]["Timeline"]), ranges[-1]["End-LSN"]
    return {
        "timeline": timeline,
        **descent(cluster, timeline),
        "start_lsn": ranges[0]["Start-LSN"],
        "end_lsn": end,
        "next_segment": segment_number(end, segment),
        "reaches": reaches,
        "consistent": consistent,
    }


def position_of(lsn):
    """An LSN (`0/16B3748`) as a number of bytes."""
    high, low = lsn.split("/")
    return (int(high, 16) << 32) + int(low, 16)


def segment_number(lsn, size):
    """Which segment of `size` bytes an LSN lies in, counted over all logs."""
    return position_of(lsn) // size


def segment_of(match, size):
    """The same of a segment's name.

    Source: PostgreSQL's XLogFileName: timeline, log of 4 GiB, segment in it; eight hexadecimal digits each.
    """
    return int(match[2][:8], 16) * (LOG_BYTES // size) + int(match[2][8:], 16)


def descent(cluster, timeline):
    """
    What a timeline goes back to: ``{"ancestors": [[1, "0/5000000"]], "left": [""], "born": "2026-11-23 02:00:00+00"}``.

    The number of each ancestor and the LSN that it was left at, oldest first. ``left`` has for each the commit before which a
    restore to a moment left it, empty where it was left otherwise. ``born`` is when the timeline's history was written here,
    empty for a timeline without one. Source: PostgreSQL's manual, timeline history files; getRecoveryStopReason() for what
    they say.
    """
    name = f"{timeline:08X}.history"
    text = ask(cluster, f"select coalesce(pg_read_file('pg_wal/{name}', 0, 1000000, true), '')")
    when = "select coalesce(extract(epoch from modification)::text, '')"
    born = ask(cluster, f"{when} from pg_stat_file('pg_wal/{name}', true)")
    received = Path(cluster["archive_dir"]) / name
    if not text and received.exists():
        with _files.regular(received) as file:
            text, born = file.read().decode("utf-8", "replace"), str(received.lstat().st_mtime)
    lines = [words for words in map(str.split, text.splitlines()) if len(words) > 1 and words[0].isdigit()]
    if timeline > 1 and not lines:
        return {}
    return {
        "ancestors": [[int(words[0]), words[1]] for words in lines],
        "left": [_left(cluster, " ".join(words[2:])) for words in lines],
        "born": _stamp(float(born)) if born else "",
    }


def _left(cluster, reason):
    """``2026-11-23 02:00:00.5+00`` from ``before 2026-11-23 03:00:00.5+01``, the reason in a history; empty for another one."""
    if not (match := STOPPED.fullmatch(reason)):
        return ""
    return ask(
        cluster, f"select to_char(timestamptz '{match[1]}' at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00'"
    )


def _received(cluster, folder, links, own):
    """
    The WAL since the first of some backups (their manifests) that it joins on to, with the histories of timelines.

    Returns the manifest that it joined on to, and what the new one is to say of the WAL. Raises: Chain where it is none of them.
    """
    reaches, position, certain = _caught_up(cluster)
    for link in links:
        try:
            _same(link, own)
            timeline, descended, wanted = _since(cluster, position, link)
            break
        except Chain:
            if link is links[-1]:
                raise
    wal = folder / "wal"
    wal.mkdir(mode=0o700)
    for _, _, _, path in wanted:
        _files.packed(path, wal / f"{path.name}.gz")
    for path in Path(cluster["archive_dir"]).glob("*.history"):
        _files.packed(path, wal / f"{path.name}.gz")
    first = link["postgresql"]["next_segment"]
    complete = [number for number, _, partial, _ in wanted if not partial]
    return link, {
        "timeline": timeline,
        **descended,
        "first_segment": first,
        "next_segment": max(complete, default=first - 1) + 1,
        "segments": len(wanted),
        "reaches": reaches,
        "primary_asked": certain,
    }


def _since(cluster, position, link):
    """The timeline, what it goes back to, and the segments since a backup, whole ones and the one in progress. Raises: Chain."""
    archive, last = Path(cluster["archive_dir"]), link["postgresql"]
    size = segment_bytes(last)
    segments = sorted(
        (segment_of(match, size), match[1], bool(match[3]), path)
        for path in archive.iterdir()
        if (match := SEGMENT.fullmatch(path.name))
    )
    wanted = [segment for segment in segments if segment[0] >= last["next_segment"]]
    nothing_since = not wanted and position == last["next_segment"] * size
    if not nothing_since and (not wanted or wanted[0][0] != last["next_segment"]):
        has = f"begins at segment {wanted[0][0]}" if wanted else "ends before it"
        raise Chain(f"the last backup ends before segment {last['next_segment']}, and what was received here {has}")
    numbers = sorted({segment[0] for segment in wanted})
    if numbers and numbers != list(range(numbers[0], numbers[-1] + 1)):
        raise Chain(f"there are gaps in what was received between segments {numbers[0]} and {numbers[-1]}")
    timeline = max((int(segment[1], 16) for segment in wanted), default=last["timeline"])
    descended = descent(cluster, timeline)
    goes_on(timeline, descended, last)
    return timeline, descended, wanted


def goes_on(timeline, descended, last):
    """
    Hold that a timeline goes on from all that a backup has: after a promotion or a restore it may have branched off before.

    `descended` is what `descent` returned, `last` the part ``postgresql`` of the backup's manifest. Raises: Chain.
    """
    ancestors = [tuple(ancestor) for ancestor in descended.get("ancestors", ())]
    known = [tuple(ancestor) for ancestor in last.get("ancestors", ())]
    if timeline == last["timeline"]:
        if {"ancestors"} <= descended.keys() & last.keys() and ancestors != known:
            raise Chain(f"timeline {timeline} is another one of that number than the last backup is of")
        return
    left = dict(ancestors)
    if last["timeline"] not in left or ("ancestors" in last and ancestors[: len(known)] != known):
        raise Chain(f"timeline {timeline} is not known to go on from timeline {last['timeline']}")
    if segment_number(left[last["timeline"]], segment_bytes(last)) < last["next_segment"]:
        raise Chain(
            f"timeline {timeline} branched off before the end of the last backup: it was restored, or a standby was behind"
        )


def _caught_up(cluster):
    """Wait until all that was acknowledged by now has been received.

    The moment, how far that is in bytes, and whether a primary vouches for it.

    Raises: CommandExecutionError when the receiver does not keep up.
    """
    moment, position = _flushed(cluster)
    asked = bool(position)
    position = position or ask(cluster, "select coalesce(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())")
    deadline = time.monotonic() + RECEIVED_WITHIN_S
    while (at := ask(cluster, RECEIVED)) == "" or position_of(at) < position_of(position):
        if time.monotonic() > deadline:
            stands = f"it is at {at}" if at else "it is not connected"
            message = (
                f"{cluster['receiver']} has not received WAL up to {position} within {RECEIVED_WITHIN_S} s: {stands}"
            )
            raise CommandExecutionError(message)
        time.sleep(0.3)
    return moment, position_of(position), asked


def _flushed(cluster):
    """
    The moment by the primary's clock, and how far its WAL was flushed then; by this server's clock, and nothing, if none answers.

    Commits are stamped by the primary's clock, so a restore to a moment goes by it. A standby's may be off by minutes.
    """
    primaries = (address for address in cluster["members"].values() if is_primary(cluster, address))
    if role(cluster) == "primary":
        answer = ask(cluster, FLUSHED)
    elif address := next(primaries, None):
        answer = ask(cluster, FLUSHED, deadline_s=5, host=address)
    else:
        return now(), ""
    epoch, position = answer.split("|")
    return _stamp(float(epoch)), position


def shipped(manifest):
    """Received segments that are safe in a store need not stay."""
    archive, part = Path(facts()["archive_dir"]), manifest["postgresql"]
    for path in archive.iterdir():
        match = SEGMENT.fullmatch(path.name)
        if match and not match[3] and segment_of(match, segment_bytes(part)) < part["next_segment"] - KEEP_RECEIVED:
            path.unlink()


def now():
    """This moment, as manifests and recovery targets have it: UTC, microseconds."""
    return _stamp(time.time())


def _stamp(epoch):
    return datetime.fromtimestamp(epoch, timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f+00")
