"""A PostgreSQL server beside the one that serves: it starts nothing by itself and reaches nobody. Sibling of `backup`."""

import re
import time
from pathlib import Path

from salt.exceptions import CommandExecutionError

try:
    import _saltlick_backup_commands as _commands
    import _saltlick_backup_files as _files
    import _saltlick_backup_isolation as _isolation
    import _saltlick_backup_postgresql as _postgresql
except ImportError:
    from saltlick.modules import _saltlick_backup_commands as _commands
    from saltlick.modules import _saltlick_backup_files as _files
    from saltlick.modules import _saltlick_backup_isolation as _isolation
    from saltlick.modules import _saltlick_backup_postgresql as _postgresql

OWN_FILES = (
    "saltlick-scratch.conf",
    "saltlick-scratch-hba.conf",
    "saltlick-scratch-ident.conf",
    "saltlick-scratch.log",
)
"""None of them a name that the formula's own configuration has, which lies in the data directory on some systems."""
QUIET = " ".join(
    f"-c {setting}"
    for setting in (
        "session_preload_libraries=",
        "local_preload_libraries=",
        "log_statement=none",
        "default_transaction_read_only=off",
        "statement_timeout=0",
        "lock_timeout=60s",
    )
)
"""Of each session: stronger than what the copy has by ALTER ROLE and ALTER DATABASE. Nobody else is there to wait for, but
transactions that were prepared."""
DEAD = {
    "archive_mode": "off",
    "autovacuum": "off",
    "fsync": "on",
    "hot_standby": "off",
    "jit": "off",
    "listen_addresses": "''",
    "log_destination": "stderr",
    "log_min_error_statement": "panic",
    "log_min_messages": "log",
    "logging_collector": "off",
    "max_logical_replication_workers": "0",
    "max_replication_slots": "1000",
    "shared_preload_libraries": "''",
    "ssl": "off",
}
"""Subscriptions, pg_cron and other background workers, the archiver and the receiver do not start; failed statements, which may
hold data, are in no log. A copy holds as many origins of replication as its source had subscriptions: room for them all."""
SINCE = {17: {"event_triggers": "off"}, 18: {"max_active_replication_origins": "1000"}}
"""Settings that older versions do not know, by the version that began them."""


def control(cluster, target):
    """What PostgreSQL has on record of a data directory: `{"Bytes per WAL segment": "16777216", …}`.

    Source: pg_controldata, a line each; kept up to date in recovery.
    """
    printed = _commands.run([f"{cluster['bin_dir']}/pg_controldata", "-D", target], user=cluster["user"])
    return {name: value.strip() for name, _, value in (line.partition(":") for line in printed.splitlines())}


def conninfo(database):
    """A database's name as a connection string: libpq takes a name with `=` in it for one anyway.

    Source: libpq, keyword/value connection strings.
    """
    return "dbname='" + database.replace("\\", "\\\\").replace("'", "\\'") + "'"


class Scratch:
    """A server over a data directory of its own, which listens on a socket in it and on nothing else."""

    def __init__(self, cluster, target):
        self.target = Path(target)
        self.cluster = {**cluster, "socket_dir": str(self.target), "data_dir": str(self.target), "options": QUIET}
        self._serving = Path(cluster["socket_dir"])
        self.obstacle = _isolation.obstacle()
        """Why it runs in this server's own network; empty where it does not."""

    def start(self, deadline_s, more=None):
        """Returns once it takes writes; `more` are settings over its own.

        Raises: CommandExecutionError with the last lines of its log.
        """
        self._configured(more or {})
        own = self.target / "saltlick-scratch.conf"
        command = [
            f"{self.cluster['bin_dir']}/pg_ctl", "start", "-D", self.target, "-l", self.target / "saltlick-scratch.log",
            "-w", "-t", int(deadline_s), "-o", f"-c config_file={own}",
        ]  # fmt: skip
        deadline = time.monotonic() + deadline_s
        try:
            self._begun(command, deadline_s + 10)
            while not self._takes_writes():
                if time.monotonic() > deadline:
                    raise CommandExecutionError(f"recovery did not end within {deadline_s:g} s")
                time.sleep(0.5)
        except CommandExecutionError as error:
            self.stop()
            raise CommandExecutionError(
                f"the restored cluster did not come up: {error}; its log ends: {self.log()}"
            ) from error

    def _configured(self, more):
        """Its own files alone: nothing of what the source's configuration includes, preloads or calls."""
        own, hba, ident, _ = (self.target / name for name in OWN_FILES)
        user = self.cluster["user"]
        _commands.write(hba, f"local all {user} peer\n", user)
        _commands.write(ident, "", user)
        settings = {
            **DEAD, "port": self.cluster["port"], "unix_socket_directories": f"'{self.target}'",
            "hba_file": f"'{hba}'", "ident_file": f"'{ident}'",
        }  # fmt: skip
        # Source: PostgreSQL refuses a minimum of less than two segments; 80 MB, its own, are more only of those of 16 MB.
        segment_mb = int(control(self.cluster, self.target)["Bytes per WAL segment"]) // _files.MB
        settings |= {"min_wal_size": f"{5 * segment_mb}MB", "max_wal_size": f"{64 * segment_mb}MB"}
        for since, known in SINCE.items():
            settings |= known if self.version() >= since else {}
        settings |= more
        _commands.write(own, "".join(f"{name} = {value}\n" for name, value in settings.items()), user)

    def version(self):
        """The number of its major version, such as 15."""
        return int(_commands.read(self.target / "PG_VERSION", self.cluster["user"]))

    def _begun(self, command, deadline_s):
        user = self.cluster["user"]
        if self.obstacle:
            _commands.run(command, user=user, deadline_s=deadline_s)
            return
        places = {self._serving.resolve(), Path("/tmp")}  # noqa: S108 - some systems have a second socket there
        # A folder that its own data lies below cannot be hidden from it.
        hidden = [place for place in sorted(places) if place.is_dir() and place not in self.target.resolve().parents]
        command = _isolation.isolated(command, user, hidden)
        _commands.run(command, env=_commands.named(user), deadline_s=deadline_s)

    def _takes_writes(self):
        """False while it recovers. Raises: CommandExecutionError when it has ended."""
        try:
            return _postgresql.ask(self.cluster, "select pg_is_in_recovery()") == "f"
        except CommandExecutionError:
            # Not before recovery is over does it talk to anybody.
            if not self._runs():
                raise
            return False

    def _runs(self):
        try:
            _commands.run([f"{self.cluster['bin_dir']}/pg_ctl", "status", "-D", self.target], user=self.cluster["user"])
        except CommandExecutionError:
            return False
        return True

    def stop(self):
        """Shut down cleanly, at once if it must be; nothing to do where it does not run."""
        if not self._runs():
            return
        command = [f"{self.cluster['bin_dir']}/pg_ctl", "stop", "-D", self.target, "-w", "-t", "60", "-m"]
        try:
            _commands.run([*command, "fast"], user=self.cluster["user"], deadline_s=90)
        except CommandExecutionError:
            _commands.run([*command, "immediate"], user=self.cluster["user"], deadline_s=90)

    def log(self, whole=False):
        """The last lines it wrote that tell something; or all."""
        lines = _commands.read(self.target / "saltlick-scratch.log", self.cluster["user"]).splitlines()
        if whole:
            return "\n".join(lines)
        telling = [line for line in lines if re.search(r"FATAL|PANIC|ERROR|recovery", line)]
        return " / ".join((telling or lines)[-4:]) or "nothing"

    def psql(self, database, sql, deadline_s=600):
        """Run SQL in one database of it, all or nothing; what it prints, a line per row, tabs between.

        By a file of its user's own: what is in it may be a secret. Of an error only PostgreSQL's first line is told: the
        others quote rows.
        """
        script = self.target / "saltlick.sql"
        _commands.write(script, sql, self.cluster["user"])
        command = [
            f"{self.cluster['bin_dir']}/psql", "-XAtqw", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=terse",
            "--single-transaction", "-h", self.cluster["socket_dir"], "-p", self.cluster["port"],
            "-d", conninfo(database),
        ]  # fmt: skip
        env = {"PGOPTIONS": self.cluster["options"]}
        user, shown = self.cluster["user"], lambda _: f"psql -d {database}"
        try:
            printed = _commands.run([*command, "-f", script], user=user, env=env, deadline_s=deadline_s, shown=shown)
            return printed.rstrip("\n")
        finally:
            self.remove(script.name)

    def remove(self, *names):
        """Files and folders of the data directory, as its user."""
        _commands.run(["rm", "-rf", "--", *(self.target / name for name in names)], user=self.cluster["user"])

    def finished(self):
        """Stop it and take out what only this server wanted: the data directory is then as any other."""
        self.stop()
        self.remove(*OWN_FILES, "backup_manifest", "backup_label.old")
