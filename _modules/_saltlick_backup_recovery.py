"""A PostgreSQL data directory from a backup, recovered by a server of its own. Sibling of `backup`."""

from pathlib import Path

from salt.exceptions import CommandExecutionError

try:
    import _saltlick_backup_archives as _archives
    import _saltlick_backup_commands as _commands
    import _saltlick_backup_files as _files
    import _saltlick_backup_postgresql as _postgresql
    import _saltlick_backup_scratch as _scratch
    import _saltlick_backup_stage as _stage
    import _saltlick_backup_traces as _traces
except ImportError:
    from saltlick.modules import _saltlick_backup_archives as _archives
    from saltlick.modules import _saltlick_backup_commands as _commands
    from saltlick.modules import _saltlick_backup_files as _files
    from saltlick.modules import _saltlick_backup_postgresql as _postgresql
    from saltlick.modules import _saltlick_backup_scratch as _scratch
    from saltlick.modules import _saltlick_backup_stage as _stage
    from saltlick.modules import _saltlick_backup_traces as _traces

TOO_EARLY = "recovery ended before configured recovery target was reached"
"""Source: PostgreSQL 13 and later, xlogrecovery.c: fatal since then."""
NEEDED = {
    "max_connections": "max_connections",
    "max_locks_per_transaction": "max_locks_per_xact",
    "max_prepared_transactions": "max_prepared_xacts",
    "max_wal_senders": "max_wal_senders",
    "max_worker_processes": "max_worker_processes",
}
"""Settings, and what pg_controldata calls them."""
OTHER_PROCESSES = 50
HISTORY_BYTES = 1 << 20
"""A line per timeline: thousands of them are less."""
AUTO = "postgresql.auto.conf"
UNPACK = 'umask 077; rm -f -- "$1"; set -C; gzip -dc >"$1"'
TIDY = """
cd "$1" && rm -f standby.signal recovery.signal postmaster.pid && cd saltlick-wal || exit
for partial in *.partial; do
  whole=${partial%.partial}
  if [ -e "$whole" ]; then rm -f "$partial"; elif [ -e "$partial" ]; then mv "$partial" "$whole"; fi
done
"""
"""A segment that was in progress counts where no later backup has it whole."""


def lay_out(cluster, chain, target, segment):
    """A data directory from a full backup and the WAL after it (`chain`: their local folders), verified by PostgreSQL's own
    manifest; `segment` is the size of a WAL segment in bytes.

    Raises: CommandExecutionError.
    """
    user, base, target = cluster["user"], chain[0] / "base", Path(target)
    _scratch.Scratch(cluster, target).stop()  # of a restore that was killed
    _traces.removed(target)
    _stage.user_folder(target, user)
    for archive, place in (("base.tar.gz", target), ("pg_wal.tar.gz", target / "pg_wal")):
        _archives.look(base / archive, target)
        _commands.run(["mkdir", "-p", "-m", "700", place], user=user)
        _piped(base / archive, ["tar", "-xzf", "-", "-C", place], user)
        _files.plain(target)
    _piped(base / "backup_manifest", ["sh", "-c", _commands.WRITE, "sh", target / "backup_manifest"], user)
    _commands.run([f"{cluster['bin_dir']}/pg_verifybackup", "-e", "-q", target], user=user)
    wal = target / "saltlick-wal"
    _commands.run(["mkdir", "-m", "700", wal], user=user)
    paths = [
        path for folder in chain[1:] for path in sorted((folder / "wal").glob("*.gz"))
    ]  # none where nothing was written
    size = sum(_archives.content(path, _largest(path, segment)) for path in paths)
    _files.room((target, size, "the WAL"))
    for path in paths:
        _piped(path, ["sh", "-c", UNPACK, "sh", wal / path.name.removesuffix(".gz")], user)
    _commands.run(["sh", "-c", TIDY, "sh", target], user=user)


def _largest(path, segment):
    return HISTORY_BYTES if path.name.endswith(".history.gz") else segment


def _piped(path, command, user):
    """Run a command as the user with a file of root's as its input: in the user's own folder root writes nothing."""
    with Path(path).open("rb") as source:
        _commands.run(command, user=user, source=source, shown=lambda _: f"unpacking {path.name}")


def reserve(cluster, target, numbers):
    """Take care that what is recovered becomes none of these timelines: another one of that number is in the store.

    Source: PostgreSQL's findNewestTimeLine(), which looks for history files upwards until there is none.
    """
    names = [Path(target) / "saltlick-wal" / f"{number:08X}.history" for number in numbers]
    if names:
        _commands.run(["touch", *names], user=cluster["user"])


def recover(cluster, target, until, deadline_s, timeline="latest"):
    """Start a server of its own over a data directory, which reaches nobody (`Scratch`), and let it recover.

    `until` is a moment (`2026-11-23 02:00:00+00`), or empty for all there is; `timeline` the number of the
    one to follow: the histories of others may lie beside it. Returns the running `Recovered`.
    """
    scratch = Recovered(cluster, target)
    _aim(cluster, scratch.target, until, timeline)
    needs = required(cluster, scratch.target)
    while True:
        try:
            scratch.start(deadline_s, _at_least(needs))
            return scratch
        except CommandExecutionError:
            grown = required(cluster, scratch.target)
            if until and TOO_EARLY in scratch.log(whole=True):
                # The WAL holds no transaction after that moment, so all there is, is what was there then.
                until = ""
                _aim(cluster, scratch.target, until, timeline)
            elif grown == needs:
                raise
            needs = grown  # the source was given larger settings in the middle of this WAL


def required(cluster, target):
    """Settings that the source had, as far as the WAL was replayed: `{max_connections: 100, …}`."""
    record = _scratch.control(cluster, target)
    return {name: int(record[f"{word} setting"]) for name, word in NEEDED.items()}


def _at_least(needs):
    """The same settings, with a table of locks no smaller than the source's, whatever else the source had processes for."""
    processes = needs["max_connections"] + needs["max_worker_processes"] + needs["max_wal_senders"] + OTHER_PROCESSES
    return {**needs, "max_connections": processes}


def _aim(cluster, target, until, timeline):
    """Recovery is told where to end, in the place of what the source was told by ALTER SYSTEM."""
    lines = [f'restore_command = \'cp "{target}/saltlick-wal/%f" "%p"\'', f"recovery_target_timeline = '{timeline}'"]
    lines += [f"recovery_target_time = '{until}'", "recovery_target_action = 'promote'"] if until else []
    _commands.write(target / AUTO, "".join(f"{line}\n" for line in lines), cluster["user"])
    _commands.write(target / "recovery.signal", "", cluster["user"])


class Recovered(_scratch.Scratch):
    """The server over what was restored."""

    def asleep(self):
        """What this copy would do by itself where it served, a sentence each."""
        prepared = self.psql("postgres", "select gid, database, prepared from pg_prepared_xacts order by prepared")
        subscribed = self.psql(
            "postgres",
            "select s.subname, d.datname from pg_subscription s join pg_database d on d.oid = s.subdbid"
            " where s.subenabled order by 1",
        )
        return [
            *(
                f"transaction {gid!r} in {database} is prepared since {at} and neither committed nor rolled back"
                for gid, database, at in map(_fields, prepared.splitlines())
            ),
            *(
                f"subscription {name} in {database} is enabled: it is asleep in a copy, and follows its publisher where"
                " this cluster serves"
                for name, database in map(_fields, subscribed.splitlines())
            ),
            *([f"the copy ran in this server's own network, because {self.obstacle}"] if self.obstacle else []),
        ]

    def finished(self):
        """As any `Scratch`; nothing of what ALTER SYSTEM said in the source, or in the backup, comes back."""
        super().finished()
        self.remove(AUTO, "saltlick-wal")


def _fields(line):
    return line.split("\t")


LOGINS = r"""
with role as (select * from pg_authid where rolname !~ '^pg_'),
own (place, number, statement, condition) as (
    select 1, 0,
        format('create role %I', rolname) || case when rolsuper then ' superuser' else ' nosuperuser' end
        || case when rolcreatedb then ' createdb' else ' nocreatedb' end
        || case when rolcreaterole then ' createrole' else ' nocreaterole' end
        || case when rolinherit then ' inherit' else ' noinherit' end
        || case when rolcanlogin then ' login' else ' nologin' end
        || case when rolreplication then ' replication' else ' noreplication' end
        || case when rolbypassrls then ' bypassrls' else ' nobypassrls' end
        || format(' connection limit %s password %L', rolconnlimit, rolpassword),
        format('%L not in (table saltlick_known)', rolname)
    from role
    union all
    select 2, 0,
        format('grant %I to %I', above.rolname, below.rolname) || case
            when to_jsonb(given) ? 'set_option' then format(' with admin %s, inherit %s, set %s', admin_option,
                to_jsonb(given) ->> 'inherit_option', to_jsonb(given) ->> 'set_option')
            when admin_option then ' with admin option' else '' end,
        format('(%1$L not in (table saltlick_known) or %2$L not in (table saltlick_known))'
            || ' and exists (select from pg_roles where rolname = %1$L)', above.rolname, below.rolname)
    from pg_auth_members given join pg_authid above on above.oid = roleid join role below on below.oid = member
    union all
    select 3, number,
        format('alter role %I', rolname) || case when datname is null then '' else format(' in database %I', datname) end
        || format(' set %I to ', split_part(setting, '=', 1)) || case
            when split_part(setting, '=', 1) in ('local_preload_libraries', 'search_path', 'session_preload_libraries',
                'shared_preload_libraries', 'temp_tablespaces', 'unix_socket_directories') and setting !~ '=("")?$'
            then substr(setting, strpos(setting, '=') + 1)
            when setting ~ '=""$' then quote_literal('')
            else quote_literal(substr(setting, strpos(setting, '=') + 1)) end,
        format('%L not in (table saltlick_known)', rolname)
        || case when datname is null then ''
            else format(' and exists (select from pg_database where datname = %L)', datname) end
    from pg_db_role_setting join role on role.oid = setrole left join pg_database base on base.oid = setdatabase,
    unnest(setconfig) with ordinality config (setting, number)
    union all
    select 4, 0,
        format('alter role %I login', rolname) || case when rolreplication then ' replication' else '' end
        || case when rolcreatedb then ' createdb' else '' end
        || format(' password %L', rolpassword),
        'true'
    from role where rolcanlogin and rolpassword is not null
    union all
    select 5, 0,
        format('alter role %I valid until %L', rolname, coalesce(rolvaliduntil, 'infinity')),
        format('exists (select from pg_roles where rolname = %L and rolvaliduntil is distinct from %L)', rolname, rolvaliduntil)
        || case when rolpassword is null then format(' and %L not in (table saltlick_known)', rolname) else '' end
    from role
)
select 'create temporary table saltlick_known on commit drop as select rolname from pg_roles;' || E'\n'
|| string_agg(format(E'select %L where %s \\gexec\n', statement, condition), '' order by place, number, statement) from own
"""
"""SQL for psql that gives another cluster the roles of this one that it does not have, as they are here: attributes,
memberships, settings. Logins that both have keep the password that they have here, hashed, until when it is valid, and what they
need to go on: login, replication, createdb. Source: pg_dumpall, for settings that are lists and are kept quoted."""


def logins(cluster):
    """That SQL, of the cluster that serves; empty where none answers any more."""
    try:
        return _postgresql.ask(cluster, LOGINS)
    except CommandExecutionError:
        return ""  # its disk is gone: the logins are those of the backup
