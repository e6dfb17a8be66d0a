"""A PostgreSQL data directory from a backup, recovered by a server of its own. Sibling of `backup`."""

import os
import re
import shutil
import time
from pathlib import Path

from salt.exceptions import CommandExecutionError

try:
    import _saltlick_backup_commands as _commands
    import _saltlick_backup_files as _files
    import _saltlick_backup_postgresql as _postgresql
except ImportError:
    from saltlick.modules import _saltlick_backup_commands as _commands
    from saltlick.modules import _saltlick_backup_files as _files
    from saltlick.modules import _saltlick_backup_postgresql as _postgresql

MARK = "# saltlick: a restore"
TOO_EARLY = "recovery ended before configured recovery target was reached"
"""Source: PostgreSQL 13 and later, xlogrecovery.c: fatal since then."""


def lay_out(cluster, chain, target):
    """A data directory from a full backup and the WAL after it (`chain`: their local folders), verified by PostgreSQL's own
    manifest.

    Raises: CommandExecutionError.
    """
    user = _commands.account(cluster["user"])
    base, target = chain[0] / "base", Path(target)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(mode=0o700)
    wal = target / "saltlick-wal"
    for archive, place in (("base.tar.gz", target), ("pg_wal.tar.gz", target / "pg_wal")):
        place.mkdir(mode=0o700, exist_ok=True)
        _commands.run(["tar", "-xzf", base / archive, "-C", place])
    shutil.copyfile(base / "backup_manifest", target / "backup_manifest")
    _files.given(target, user)
    _commands.run([f"{cluster['bin_dir']}/pg_verifybackup", "-e", "-q", target], user=cluster["user"])
    wal.mkdir(mode=0o700)
    for folder in chain[1:]:
        for path in sorted((folder / "wal").glob("*.gz")):  # none where nothing had been written
            _files.unpacked(path, wal / path.name.removesuffix(".gz"))
    for path in wal.glob("*.partial"):
        whole = path.with_name(path.name.removesuffix(".partial"))
        path.unlink() if whole.exists() else path.rename(whole)
    for name in ("standby.signal", "recovery.signal", "postmaster.pid"):
        (target / name).unlink(missing_ok=True)
    _files.given(target, user)


def reserve(target, numbers):
    """Take care that what is recovered becomes none of these timelines: another one of that number is in the store.

    Source: PostgreSQL's findNewestTimeLine(), which looks for history files upwards until there is none.
    """
    for number in numbers:
        (Path(target) / "saltlick-wal" / f"{number:08X}.history").touch()


def recover(cluster, target, until, deadline_s, timeline="latest"):
    """Start a server of its own over a data directory, by no address but a socket in it, and let it recover.

    `until` is a moment (`2026-11-23 02:00:00+00`), or empty for all there is; `timeline` the number of the
    one to follow: the histories of others may lie beside it. Returns the running `Scratch`.
    """
    target = Path(target)
    scratch = Scratch(cluster, target)
    _aim(cluster, target, until, timeline)
    try:
        scratch.start(deadline_s)
    except CommandExecutionError:
        if not until or TOO_EARLY not in scratch.log(whole=True):
            raise
        # The WAL holds no transaction after that moment, so all there is, is what was there then.
        _aim(cluster, target, "", timeline)
        scratch.start(deadline_s)
    return scratch


def _aim(cluster, target, until, timeline):
    """Recovery is told where to end."""
    lines = [f'restore_command = \'cp "{target}/saltlick-wal/%f" "%p"\'', f"recovery_target_timeline = '{timeline}'"]
    lines += [f"recovery_target_time = '{until}'", "recovery_target_action = 'promote'"] if until else []
    auto = target / "postgresql.auto.conf"
    auto.write_text("\n".join([auto.read_text("utf-8").split(MARK)[0].rstrip("\n"), MARK, *lines, ""]))
    (target / "recovery.signal").touch()
    _files.given(target, _commands.account(cluster["user"]))


LOGINS = """
select coalesce(string_agg(format(
    'do $do$ begin if not exists (select from pg_roles where rolname = %L) then create role %I; end if; end $do$;'
    || ' alter role %I with login %s %s password %L;',
    rolname, rolname, rolname, case when rolreplication then 'replication' else '' end,
    case when rolcreatedb then 'createdb' else '' end, rolpassword), ' '), '')
from pg_authid where rolcanlogin and rolpassword is not null
"""
"""SQL that gives another cluster the logins of this one, with their passwords as they are kept: hashed."""


def logins(cluster):
    """That SQL, of the cluster that serves; empty where none answers any more."""
    try:
        return _postgresql.ask(cluster, LOGINS)
    except CommandExecutionError:
        return ""  # its disk is gone: the logins are those of the backup


class Scratch:
    """A server beside the real one: another data directory, no network, a socket of its own."""

    def __init__(self, cluster, target):
        self.target = Path(target)
        self.cluster = {**cluster, "socket_dir": str(self.target), "data_dir": str(self.target)}

    def start(self, deadline_s):
        """Returns once it takes writes. Raises: CommandExecutionError with the last lines of its log."""
        own, user = self.target / "saltlick.conf", _commands.account(self.cluster["user"])
        hba = self.target / "saltlick_hba.conf"
        hba.write_text(f"local all {self.cluster['user']} peer\n")
        settings = {
            "listen_addresses": "''", "port": self.cluster["port"], "unix_socket_directories": f"'{self.target}'",
            "hba_file": f"'{hba}'", "archive_mode": "off", "hot_standby": "off", "fsync": "on", "primary_conninfo": "''",
            "synchronous_standby_names": "''", "primary_slot_name": "''", "autovacuum": "off", "ssl": "off",
            "log_min_messages": "log",
        }  # fmt: skip
        own.write_text("".join(f"{name} = {value}\n" for name, value in settings.items()))
        _files.given(self.target, user)
        overriding = " ".join(
            f"-c {name}={value}"
            for name, value in settings.items()
            if name
            in ("primary_conninfo", "listen_addresses", "synchronous_standby_names", "archive_mode", "hot_standby")
        )
        words = [
            "-D",
            self.target,
            "-l",
            self.target / "saltlick.log",
            "-w",
            "-t",
            int(deadline_s),
            "-o",
            f"-c config_file={own} {overriding}",
        ]
        deadline = time.monotonic() + deadline_s
        try:
            _commands.run(
                [f"{self.cluster['bin_dir']}/pg_ctl", "start", *words],
                user=self.cluster["user"],
                deadline_s=deadline_s + 10,
            )
            while not self._takes_writes():
                if time.monotonic() > deadline:
                    raise CommandExecutionError(f"recovery did not end within {deadline_s:g} s")
                time.sleep(0.5)
        except CommandExecutionError as error:
            self.stop()
            raise CommandExecutionError(
                f"the restored cluster did not come up: {error}; its log ends: {self.log()}"
            ) from error

    def _takes_writes(self):
        """False while it recovers. Raises: CommandExecutionError when it has ended."""
        try:
            return _postgresql.ask(self.cluster, "select pg_is_in_recovery()") == "f"
        except CommandExecutionError:
            # Not before recovery is over does it talk to anybody.
            _commands.run([f"{self.cluster['bin_dir']}/pg_ctl", "status", "-D", self.target], user=self.cluster["user"])
            return False

    def stop(self):
        """Shut down cleanly, at once if it must be; nothing to do where it does not run."""
        if not (self.target / "postmaster.pid").exists():
            return
        command = [f"{self.cluster['bin_dir']}/pg_ctl", "stop", "-D", self.target, "-w", "-t", "60", "-m"]
        try:
            _commands.run([*command, "fast"], user=self.cluster["user"], deadline_s=90)
        except CommandExecutionError:
            _commands.run([*command, "immediate"], user=self.cluster["user"], deadline_s=90)

    def log(self, whole=False):
        """The last lines it wrote that tell something; or all."""
        path = self.target / "saltlick.log"
        lines = path.read_text("utf-8", "replace").splitlines() if path.exists() else []
        if whole:
            return "\n".join(lines)
        telling = [line for line in lines if re.search(r"FATAL|PANIC|ERROR|recovery", line)]
        return " / ".join((telling or lines)[-4:]) or "nothing"

    def psql(self, database, sql, deadline_s=600):
        """Run SQL in one database of it, all or nothing; what it prints, a line per row, tabs between.

        By a file of its user's own: what is in it may be a secret.
        """
        script = self.target / "saltlick.sql"
        script.touch(mode=0o600)
        script.write_text(sql, "utf-8")
        user = _commands.account(self.cluster["user"])
        os.chown(script, user.pw_uid, user.pw_gid)
        where = ["-h", self.cluster["socket_dir"], "-p", self.cluster["port"], "-d", database]
        command = [
            f"{self.cluster['bin_dir']}/psql",
            "-XAtqw",
            "-F",
            "\t",
            "-v",
            "ON_ERROR_STOP=1",
            "--single-transaction",
            *where,
        ]
        try:
            return _commands.run([*command, "-f", script], user=self.cluster["user"], deadline_s=deadline_s).rstrip(
                "\n"
            )
        finally:
            script.unlink()

    def finished(self):
        """Stop it and take out what only the recovery wanted: the data directory is then as any other."""
        self.stop()
        auto = self.target / "postgresql.auto.conf"
        auto.write_text(auto.read_text("utf-8").split(MARK)[0])
        for name in ("saltlick.conf", "saltlick_hba.conf", "saltlick.log", "backup_manifest", "backup_label.old"):
            (self.target / name).unlink(missing_ok=True)
        shutil.rmtree(self.target / "saltlick-wal", ignore_errors=True)
        _files.given(self.target, _commands.account(self.cluster["user"]))
