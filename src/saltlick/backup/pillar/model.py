"""The pillar keys `backup` and `stores`, as typed and frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Annotated

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    StrictInt,
    StrictStr,
    WithJsonSchema,
    model_validator,
)

from saltlick.backup.pillar.timing import cron, duration_s
from saltlick.fleet.step import Seconds
from saltlick.schema.fields import AbsolutePath, Label, Model, UserName, form

Count = Annotated[StrictInt, Field(ge=0, le=1000)]
Age = Annotated[StrictInt, Field(ge=60, le=366 * 86400)]
Cron = Annotated[StrictStr, AfterValidator(cron)]
BucketName = Annotated[
    StrictStr,
    form(r"(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "the name of a bucket (write it like acme-backups)"),
]
Duration = Annotated[
    int,
    BeforeValidator(duration_s),
    WithJsonSchema({"type": "string", "pattern": "^[1-9][0-9]*(min|h|d)$", "examples": ["72h"]}),
]
DEFAULT_WINDOW_S = 86400
Word = Annotated[StrictStr, form(r"[A-Za-z0-9._-]+", "a name of letters, digits, dots, hyphens and underscores")]


SHORTEST_KEY = 16


class Rsync(Model):
    """A folder on another server, behind an rsync daemon with a password."""

    address: StrictStr = Field(min_length=1, description="Address or name of the server.")
    port: StrictInt = Field(873, ge=1, le=65535, description="Its port.")
    module: Word = Field(description="Module of the daemon that this environment's backups go to.")
    user: Word = Field(description="User of the daemon.")
    password: SecretStr = Field(
        min_length=1, description="Its password; from a renderer or an `sdb` address, not from git."
    )


class Encryption(str, Enum):
    """Who holds the key that S3 encrypts with."""

    S3 = "AES256"
    KMS = "aws:kms"


class S3(Model):
    """A bucket, or a part of one; encrypted on the server's side."""

    bucket: BucketName = Field(description="Name of the bucket: one of `environment.buckets`, or one that is there.")
    prefix: StrictStr = Field("", description="Folder in it; what the servers' role may see.")
    encryption: Encryption = Field(Encryption.S3, description="`AES256` (S3's key) or `aws:kms`.")
    key_id: StrictStr = Field("", description="Key of KMS, for `aws:kms`; left out: the account's own.")
    region: StrictStr = Field("", description="Its region; left out: us-east-1.")
    endpoint: StrictStr = Field(
        "",
        description="Address of a service that speaks S3; left out: AWS, or what `endpoint_url` of the server's own AWS "
        "configuration says.",
    )
    access_key: SecretStr | None = Field(None, description="Left out with `secret_key`: the instance's own role.")
    secret_key: SecretStr | None = Field(None, description="Secret of `access_key`.")

    @model_validator(mode="after")
    def _both(self) -> S3:
        if (self.access_key is None) != (self.secret_key is None):
            raise ValueError("`access_key` and `secret_key` go together")
        if self.key_id and self.encryption is not Encryption.KMS:
            raise ValueError("`key_id` goes with `encryption: aws:kms`")
        return self


class StoreSpec(Model):
    """Where backups are kept: exactly one of `rsync` and `s3`. The servers read the same key from their own pillar.

    A text `sdb://profile/key` is looked up by the server that needs it, with its own configuration of that profile.
    """

    rsync: Rsync | None = Field(None, description="A folder on another server.")
    s3: S3 | None = Field(None, description="A bucket.")
    encryption_key: SecretStr | None = Field(
        None,
        description="For `s3`: servers encrypt with this key before anything leaves them (rclone's crypt). From a renderer or an "
        "`sdb` address, not from git. Without it nobody can restore, so keep a copy outside of AWS.",
    )
    signing_key: SecretStr | None = Field(
        None,
        description="Servers sign each backup with this key and restore only what is signed with it, so that whoever writes into "
        "the store cannot make a backup. Every server that backs up or restores there needs the same one. Keep a copy outside of "
        "AWS.",
    )

    @model_validator(mode="after")
    def _one(self) -> StoreSpec:
        if (self.rsync is None) == (self.s3 is None):
            raise ValueError("a store is exactly one of `rsync` and `s3`")
        if self.rsync and self.encryption_key:
            raise ValueError("`encryption_key` is for `s3`: an rsync store keeps files as they are")
        for name, secret in (("encryption_key", self.encryption_key), ("signing_key", self.signing_key)):
            key = secret.get_secret_value() if secret else None
            if key is not None and not key.startswith("sdb://") and len(key) < SHORTEST_KEY:
                raise ValueError(f"`{name}` has {len(key)} characters: make one of {SHORTEST_KEY} or more")
        return self


class Timing(Model):
    """When something runs: exactly one of `cron` and `every_s`."""

    cron: Cron | None = Field(None, description="As in a crontab, in the master's time zone: `0 2 * * *`.")
    every_s: Annotated[StrictInt, Field(ge=30, le=7 * 86400)] | None = Field(None, description="Every so many seconds.")

    @model_validator(mode="after")
    def _one(self) -> Timing:
        if (self.cron is None) == (self.every_s is None):
            raise ValueError("exactly one of `cron` and `every_s` says when")
        return self


class BackupKind(str, Enum):
    """What a job backs up."""

    POSTGRESQL = "postgresql"
    ZODB = "zodb"
    DIRECTORIES = "directories"
    MASTER = "master"


class Postgresql(Model):
    """A cluster of PostgreSQL, whole. Taken from the standby where there is one."""

    max_rate_mb: Annotated[StrictInt, Field(ge=1, le=1024)] | None = Field(
        None, description="MB per second that a full backup may read at most."
    )


class Zodb(Model):
    """A ZODB behind ZEO: Data.fs and its blobs, as one pair."""


class SaltMaster(Model):
    """What a Salt master remembers: its keys, those of its minions, history, attempts, releases and locks."""


class RetentionSpec(Model):
    """How many backups stay: the newest of each of so many hours, days, weeks, months. What they build on stays with them."""

    hourly: Count = Field(0, description="Hours.")
    daily: Count = Field(7, description="Days.")
    weekly: Count = Field(4, description="Weeks.")
    monthly: Count = Field(6, description="Months.")

    @model_validator(mode="after")
    def _some(self) -> RetentionSpec:
        if not (self.hourly or self.daily or self.weekly or self.monthly):
            raise ValueError("with nothing to keep there is no backup: give one of hourly, daily, weekly, monthly")
        return self


COMMAND_USER = (
    "User whom `command` runs as; left out: the user of the service (postgresql, zodb), or the owner of the folder that serves"
    " (directories). It runs as root only with `user: root`."
)


class Script(Model):
    """What changes restored data before it is used: `sql` in a database, all or nothing, or a `command` for every other kind."""

    database: StrictStr | None = Field(None, min_length=1, description="Database for `sql`.")
    sql: StrictStr | None = Field(None, min_length=1, description="One or more statements.")
    command: StrictStr | None = Field(
        None,
        min_length=1,
        description="Command that has to exit with 0. It finds the data by ZODB_DATA and ZODB_BLOBS (zodb), or runs once for each"
        " folder, which is RESTORED, in place of ORIGINAL (directories).",
    )
    user: UserName | None = Field(None, description=COMMAND_USER)

    @model_validator(mode="after")
    def _one_way(self) -> Script:
        if (self.sql is None) == (self.command is None):
            raise ValueError("a script is exactly one of `sql` and `command`")
        if (self.sql is None) != (self.database is None):
            raise ValueError("`sql` and `database` go together")
        if self.user and self.command is None:
            raise ValueError("`user` goes with `command`")
        return self

    def suits(self, kind: BackupKind) -> bool:
        """Whether data of that kind can be changed by it."""
        wanted = {BackupKind.POSTGRESQL} if self.sql is not None else {BackupKind.ZODB, BackupKind.DIRECTORIES}
        return kind in wanted


class RestoreCheck(Model):
    """A question to what was restored: exactly one of `query` and `command`."""

    name: StrictStr = Field(min_length=1, max_length=80, description="What people read.")
    database: StrictStr | None = Field(None, description="Database for `query`.")
    query: StrictStr | None = Field(None, description="SQL that gives one value.")
    command: StrictStr | None = Field(
        None, description="Command that has to exit with 0; it finds the database by PGHOST and PGPORT."
    )
    user: UserName | None = Field(None, description=COMMAND_USER)
    at_least: float | None = Field(None, description="The least that the value may be.")
    equals: StrictStr | StrictInt | None = Field(None, description="What the value has to be.")

    @model_validator(mode="after")
    def _one_way(self) -> RestoreCheck:
        if (self.query is None) == (self.command is None):
            raise ValueError("a check is exactly one of `query` and `command`")
        if self.query is not None and not self.database:
            raise ValueError("`query` needs its `database`")
        if self.user and self.command is None:
            raise ValueError("`user` goes with `command`")
        return self


class Drill(Model):
    """A rehearsal: the latest backup restored beside what serves on a server of another environment, checked, and removed."""

    environment: Label = Field(description="Whose server: never one that is marked production.")
    servers: Label = Field(description="Server group there, whose first server of that kind is taken.")
    store: Label = Field(description="The store, by its name in the pillar of those servers.")
    scripts: tuple[Script, ...] = Field((), description="What runs before the checks.")
    checks: tuple[RestoreCheck, ...] = Field(min_length=1, description="What has to be true.")
    at: Timing | None = Field(None, description="When.")
    max_age_s: Age = Field(8 * 86400, description="How old the last good one may be.")


def scripted(kind: BackupKind) -> str:
    """How scripts change data of that kind, in words."""
    return "`database` and `sql`" if kind is BackupKind.POSTGRESQL else "`command`"


class BackupJobSpec(Model):
    """One thing that is backed up: exactly one of `postgresql`, `zodb`, `directories` and `master`."""

    postgresql: Postgresql | None = Field(None, description="A cluster of PostgreSQL.")
    zodb: Zodb | None = Field(None, description="A ZODB behind ZEO.")
    directories: Annotated[tuple[AbsolutePath, ...], Field(min_length=1)] | None = Field(None, description="Folders.")
    master: SaltMaster | None = Field(
        None, description="The Salt master itself. It has to be encrypted: its store needs an `encryption_key`."
    )
    servers: Label = Field(description="Server group that has it.")
    store: Label = Field(description="Where it goes.")
    full: Timing | None = Field(None, description="When everything is copied. Left out: only by hand.")
    incremental: Timing | None = Field(None, description="When only what is new is copied.")
    splay_s: Annotated[StrictInt, Field(ge=0, le=6 * 3600)] = Field(
        0, description="Begins up to so many seconds later, so that not all jobs begin at once."
    )
    keep: RetentionSpec = Field(default_factory=lambda: RetentionSpec.model_validate({}), description="How many stay.")
    any_moment: Duration | None = Field(
        None,
        description="How far back every moment can be restored: `72h`, `3d`. For `postgresql` with `incremental`; left out: 24h.",
    )
    max_age_s: Age = Field(26 * 3600, description="How old the newest good one may be.")
    shrink_percent: Annotated[StrictInt, Field(ge=1, le=100)] = Field(
        50, description="Less of the data than this many percent of the time before is suspicious."
    )
    deadline_s: Seconds = Field(3600, description="How long one run may take.")
    drill: Drill | None = Field(None, description="Where and how a restore is rehearsed.")

    @model_validator(mode="after")
    def _one_kind(self) -> BackupJobSpec:
        if sum(kind is not None for kind in (self.postgresql, self.zodb, self.directories, self.master)) != 1:
            raise ValueError("a job is exactly one of `postgresql`, `zodb`, `directories` and `master`")
        if self.master and (self.incremental or self.drill):
            raise ValueError("of a `master` there are full backups only, and no drill: its keys belong nowhere else")
        if self.incremental and not self.full:
            raise ValueError("`incremental` needs a `full` to build on")
        if self.drill and not all(script.suits(self.kind) for script in self.drill.scripts):
            raise ValueError(f"scripts of a drill of {self.kind.value} have {scripted(self.kind)}")
        if self.any_moment and not (self.postgresql and self.incremental):
            raise ValueError(
                "`any_moment` goes with `postgresql` and `incremental`: nothing else has the moments in between"
            )
        return self

    @property
    def window_s(self) -> int:
        """Within how many seconds every moment can be restored; 0 where only backups themselves can be."""
        if not (self.postgresql and self.incremental):
            return 0
        return self.any_moment or DEFAULT_WINDOW_S

    @property
    def kind(self) -> BackupKind:
        """What it backs up."""
        if self.postgresql:
            return BackupKind.POSTGRESQL
        if self.master:
            return BackupKind.MASTER
        return BackupKind.ZODB if self.zodb else BackupKind.DIRECTORIES

    @property
    def options(self) -> dict[str, object]:
        """What the server's part wants to know of the kind."""
        if self.directories:
            return {"directories": list(self.directories)}
        if not self.postgresql:
            return {}
        return {"max_rate_mb": self.postgresql.max_rate_mb, "any_moment": bool(self.window_s)}


class Backups(Model):
    """What is backed up, when, where to, and how long it is kept."""

    jobs: Mapping[Label, BackupJobSpec] = Field(min_length=1, description="By name; the name is a folder in the store.")
