"""A PostgreSQL cluster written anew from another one: the rows of now, and no byte of what they were. Sibling of `backup`.

An update leaves the old row in its page, in the WAL and in statistics. So after masking, every database is dumped and loaded
into a cluster that `initdb` has just made; only that one ever serves.
"""

import os
from pathlib import Path

from salt.exceptions import CommandExecutionError

try:
    import _saltlick_backup_commands as _commands
    import _saltlick_backup_files as _files
    import _saltlick_backup_postgresql as _postgresql
    import _saltlick_backup_scratch as _scratch
    import _saltlick_backup_stage as _stage
    import _saltlick_backup_traces as _traces
except ImportError:
    from saltlick.modules import _saltlick_backup_commands as _commands
    from saltlick.modules import _saltlick_backup_files as _files
    from saltlick.modules import _saltlick_backup_postgresql as _postgresql
    from saltlick.modules import _saltlick_backup_scratch as _scratch
    from saltlick.modules import _saltlick_backup_stage as _stage
    from saltlick.modules import _saltlick_backup_traces as _traces

LOADING = {
    "fsync": "off",
    "full_page_writes": "off",
    "max_wal_senders": "0",
    "max_worker_processes": "0",
    "wal_level": "minimal",
}
"""Of the new cluster while it is loaded; it is written to the disk afterwards. With no room for workers, what the libraries that
its extensions need would start, such as pg_cron's jobs, does not start."""
AUTO = "postgresql.auto.conf"
"""What ALTER SYSTEM wrote; in the data directory everywhere."""
OWN_CONFIGURATION = ("*.conf", "*.crt", "*.key", "*.pem", "conf.d")
"""What a data directory has of this server, on systems where configuration lies there."""
DETACH = """
do $$ declare mapping record; begin
  for mapping in select umuser, usename, srvname from pg_user_mappings loop
    execute format('drop user mapping for %s server %I',
      case when mapping.umuser = 0 then 'public' else quote_ident(mapping.usename) end, mapping.srvname);
  end loop;
  if to_regclass('cron.job') is not null then
    set local session_replication_role = replica;
    update cron.job set active = false;
  end if;
end $$
"""
"""Logins to other servers (foreign data wrappers) go, and jobs of pg_cron are switched off: both are the source's. Without the
triggers of cron.job, which want a library that is not loaded."""
CONFIGURE = f"""
umask 077
cd "$2" && rm -rf -- $4 || exit
cd "$1" 2>/dev/null && for name in $3; do
  if [ -e "$name" ]; then cp -Rp -- "$name" "$2/" || exit; fi
done
cd "$2" && touch {AUTO}
"""
SIZE = "select coalesce(sum(pg_database_size(oid)), 0) from pg_database"
DATABASES = "select datname from pg_database where datallowconn and datconnlimit <> -2 order by datname"
"""Those that take connections. Source: PostgreSQL's manual, pg_database: -2 is one that a DROP was interrupted in."""
CLOSED = "select datname from pg_database where (not datallowconn or datconnlimit = -2) and datname <> 'template0' order by 1"
CUSTOM = "select name, setting from pg_settings where name like '%.%' and source = 'configuration file'"


def detached(scratch, anew):
    """Take out of a recovered cluster what ties it to its source, before scripts run. What was taken, a sentence each.

    Subscriptions are in no cluster that is written anew: their connections hold passwords of the source.
    """
    notes, slept = [], "is left out" if anew else "is disabled, and has no slot at its publisher any more"
    pending = "select gid, database from pg_prepared_xacts order by prepared"
    for gid, database in map(_fields, scratch.psql("postgres", pending).splitlines()):
        _postgresql.ask(
            {**scratch.cluster, "database": _scratch.conninfo(database)}, f"rollback prepared {literal(gid)}"
        )
        notes.append(f"transaction {gid!r} in {database}, which was prepared, is rolled back")
    for database in databases(scratch):
        mappings = scratch.psql(database, "select usename, srvname from pg_user_mappings order by 1, 2").splitlines()
        scratch.psql(database, DETACH)
        notes += [
            f"the login of {user} to the foreign server {server} in {database} is left out"
            for user, server in map(_fields, mappings)
        ]
    subscribed = "select subname, datname from pg_subscription s join pg_database d on d.oid = subdbid order by 1"
    for name, database in map(_fields, scratch.psql("postgres", subscribed).splitlines()):
        subscription = f"alter subscription {identifier(name)}"
        scratch.psql(database, f"{subscription} disable; {subscription} set (slot_name = none)")
        notes.append(f"subscription {name} in {database} {slept}")
    if anew:
        closed = scratch.psql("postgres", CLOSED).splitlines()
        notes += [f"database {name} takes no connections and is left out" for name in closed]
    return notes


def rewritten(scratch, serving, target, logins, deadline_s):
    """A new cluster in `target` with what the databases of the running `scratch` hold now; its running `Scratch`.

    `serving` is the server whose place it takes: with its libraries and its configuration; `logins` is SQL with the passwords
    of its users. Raises: CommandExecutionError.
    """
    target, dump = Path(target), dump_of(target)
    _files.room((target.parent, 2 * int(_postgresql.ask(scratch.cluster, SIZE)), "the cluster that is written anew"))
    _initialised(scratch, serving, target)
    fresh = _scratch.Scratch(serving, target)
    _traces.removed(dump)
    _stage.user_folder(dump, serving["user"])
    try:
        fresh.start(deadline_s, {**LOADING, **_libraries(serving)})
        _roles(scratch, fresh, dump, deadline_s)
        for database in databases(scratch):
            _copied(scratch, fresh, database, dump / "database", deadline_s)
        fresh.psql("postgres", logins or "select 1")
        jobs = [f"--jobs={os.cpu_count() or 1}"]
        _tool(fresh, "vacuumdb", ["--all", "--analyze-only", "--quiet", *jobs], deadline_s)
        return fresh
    except BaseException:
        fresh.stop()
        raise
    finally:
        _traces.removed(dump)


def dump_of(target):
    """Where the databases lie on their way into a cluster in `target`."""
    return Path(target).with_name(f"{Path(target).name}-dump")


def completed(fresh, serving):
    """Stop it; on the disk, it is then a data directory as `serving` would have made it."""
    fresh.finished()
    configured(fresh.target, serving, all_of_it=True)
    _commands.run([f"{serving['bin_dir']}/initdb", "--sync-only", "-D", fresh.target], user=serving["user"])


def configured(target, serving, all_of_it):
    """Give a data directory what ALTER SYSTEM said to the one that serves here; with `all_of_it`, its configuration too.

    That is, as far as it lies there. As the database's user: what is in either directory may be a link.
    """
    data = Path(serving["data_dir"])
    lies_in_data = Path(serving.get("config_dir", "")) == data
    names = [AUTO, *(OWN_CONFIGURATION if all_of_it and lies_in_data else ())]
    gone = [AUTO, *(OWN_CONFIGURATION if all_of_it else ())]
    command = ["sh", "-c", CONFIGURE, "sh", data, target, " ".join(names), " ".join(gone)]
    _commands.run(command, user=serving["user"])


def databases(scratch):
    """Names of the databases that take connections."""
    return scratch.psql("postgres", DATABASES).splitlines()


def system(cluster, folder):
    """Identifier of the cluster in a data directory, which a physical copy has in common with its source; empty where none is."""
    if not (Path(folder) / "global" / "pg_control").exists():
        return ""
    return _scratch.control(cluster, folder)["Database system identifier"]


def identifier(name):
    """A quoted name of SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text):
    """A string of SQL. Source: PostgreSQL's manual, string constants; a backslash is itself with its standard settings."""
    return "'" + text.replace("'", "''") + "'"


def _fields(line):
    return line.split("\t")


def _initialised(scratch, serving, target):
    """An empty cluster like the scratch one: its first superuser, encoding, locale, checksums and size of segments."""
    _scratch.Scratch(serving, target).stop()
    _traces.removed(target)
    _stage.user_folder(target, serving["user"])
    where = "from pg_database where datname = 'template0'"
    encoding, collate, ctype = _fields(
        scratch.psql("postgres", f"select pg_encoding_to_char(encoding), datcollate, datctype {where}")
    )
    record = _scratch.control(scratch.cluster, scratch.target)
    checksums = record["Data page checksum version"] != "0"
    command = [
        f"{serving['bin_dir']}/initdb", "-D", target, "-U", _superuser(scratch), "-E", encoding,
        f"--lc-collate={collate}", f"--lc-ctype={ctype}", "-A", "peer", "--no-sync",
        f"--wal-segsize={int(record['Bytes per WAL segment']) // _files.MB}",
        *(["--data-checksums"] if checksums else ["--no-data-checksums"] if scratch.version() >= 18 else []),
    ]  # fmt: skip
    _commands.run(command, user=serving["user"])


def _superuser(scratch):
    """Source: PostgreSQL's pg_authid.dat: the role that initdb makes has the id 10."""
    return scratch.psql("postgres", "select rolname from pg_roles where oid = 10")


def _libraries(serving):
    """What the server that serves preloads, with the settings of these libraries; nothing where none answers."""
    try:
        preloaded = _postgresql.ask(serving, "show shared_preload_libraries")
        custom = _postgresql.ask(serving, CUSTOM).splitlines()
    except CommandExecutionError:
        return {}
    settings = {name: literal(value) for name, _, value in (line.partition("|") for line in custom)}
    return {**settings, "shared_preload_libraries": literal(preloaded)}


def _roles(scratch, fresh, dump, deadline_s):
    """Every role with its rights and settings, none with a password: those are the source's."""
    path = dump / "roles.sql"
    _tool(scratch, "pg_dumpall", ["--globals-only", "--no-role-passwords", "-f", path], deadline_s)
    first = scratch.psql("postgres", "select format('CREATE ROLE %I;', rolname) from pg_roles where oid = 10")
    text = _commands.read(path, scratch.cluster["user"])
    lines = [line for line in text.splitlines() if line != first]  # initdb made that one
    fresh.psql("postgres", "\n".join([*lines, ""]))


def _copied(scratch, fresh, database, dump, deadline_s):
    """One database with its properties, several tables at a time."""
    jobs, begun = f"--jobs={os.cpu_count() or 1}", database in ("postgres", "template1")
    dumped = ["--format=directory", "--compress=0", "--no-sync", "--no-subscriptions", jobs, "-f", dump]
    # From version 18 on statistics can be dumped, too: they quote rows of before the masking.
    dumped += ["--no-statistics"] if scratch.version() >= 18 else []
    _tool(scratch, "pg_dump", [*dumped, "-d", _scratch.conninfo(database)], deadline_s)
    again = ["--clean", "--if-exists"] if begun else []  # initdb made these two
    beside = "template1" if database == "postgres" else "postgres"
    _tool(fresh, "pg_restore", ["--create", *again, "--exit-on-error", jobs, "-d", beside, dump], deadline_s)
    _traces.removed(dump)


def _tool(server, name, words, deadline_s):
    where = ["-h", server.cluster["socket_dir"], "-p", server.cluster["port"], "-w"]
    command = [f"{server.cluster['bin_dir']}/{name}", *where, *words]
    env = {"PGOPTIONS": server.cluster["options"]}
    _commands.run(command, user=server.cluster["user"], env=env, deadline_s=deadline_s)
