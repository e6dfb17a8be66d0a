"""Where backups are kept: a module of an rsync daemon, or a bucket of S3. Sibling of `backup`.

A store is a tree of folders `<job>/<id>/`. Secrets reach the tools by environment or standard input, never by command line.
"""

import configparser
import json
import os
import tempfile
from pathlib import Path, PurePosixPath

import salt.utils.sdb
from salt.exceptions import CommandExecutionError

try:
    import _saltlick_backup_commands as _commands
    import _saltlick_backup_files as _files
except ImportError:
    from saltlick.modules import _saltlick_backup_commands as _commands
    from saltlick.modules import _saltlick_backup_files as _files

CONNECT_S = 10
SILENT_S = 60
LOOK_S = 300


def opened(stores, name, opts):
    """The store of that name, from this minion's pillar ``stores``. A text ``sdb://…`` in it is looked up by this minion.

    Raises: CommandExecutionError.
    """
    declared = (stores or {}).get(name)
    if not declared:
        known = ", ".join(sorted(stores or {})) or "none"
        raise CommandExecutionError(f"the pillar of this minion has no store {name}; under `stores` there is {known}")
    declared = _looked_up(declared, name, opts)
    place = _of_kind(name, declared)
    place.signing_key = declared.get("signing_key", "")
    return place


def _of_kind(name, declared):
    encryption_key = declared.get("encryption_key", "")
    if "rsync" in declared:
        if encryption_key:
            raise CommandExecutionError(
                f"store {name}: `encryption_key` is for `s3`; an rsync store keeps files as they are"
            )
        return Rsync(name, **declared["rsync"])
    if "s3" in declared:
        return S3(name, encryption_key=encryption_key, **declared["s3"])
    raise CommandExecutionError(f"store {name} is neither `rsync` nor `s3`")


def _looked_up(value, name, opts):
    if isinstance(value, dict):
        return {key: _looked_up(item, name, opts) for key, item in value.items()}
    if not isinstance(value, str) or not value.startswith("sdb://"):
        return value
    try:
        secret = salt.utils.sdb.sdb_get(value, dict(opts))
    except Exception as error:  # of whatever driver; its words may hold what nobody should read
        raise CommandExecutionError(
            f"store {name}: {value} cannot be looked up on this minion: {type(error).__name__}"
        ) from None
    if not isinstance(secret, str) or not secret or secret == value:
        raise CommandExecutionError(f"store {name}: this minion finds nothing at {value}")
    return secret


def configured_endpoint():
    """The `endpoint_url` that this machine's AWS configuration has for S3, or nothing: that is AWS.

    AWS's own tools follow it; the rclone of most distributions does not. Source: AWS SDKs and Tools Reference Guide,
    "Service-specific endpoints", with the default profile alone.
    """
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        if os.environ.get(name):
            return os.environ[name]
    settings = configparser.ConfigParser(interpolation=None)
    try:
        settings.read(os.environ.get("AWS_CONFIG_FILE") or Path("~/.aws/config").expanduser())
    except configparser.Error as error:
        raise CommandExecutionError(f"this machine's AWS configuration cannot be read: {error}") from error
    return settings.get("default", "endpoint_url", fallback="")


class Rsync:
    """A module of an rsync daemon on another server."""

    def __init__(self, name, address, module, user, password, port=873, **_):
        self.name = name
        self._url = f"rsync://{user}@{address}:{port}/{module}"
        self._env = {"RSYNC_PASSWORD": str(password)}

    def put(self, folder, job, backup, only="", deadline_s=3600):
        """Copy a local folder, whose path ends in ``<job>/<id>``, there: all but the manifest, or one file of it alone."""
        what = f"{job}/{backup}/{only}" if only else f"{job}/{backup}"
        leave = [] if only else [f"--exclude=/{what}/{_files.MANIFEST}"]
        # What follows /./ is made there too, the folders above the backup's own included.
        self._rsync("-rtR", *leave, f"{folder.parent.parent}/./{what}", f"{self._url}/", deadline_s=deadline_s)

    def get(self, job, backup, folder, names, deadline_s=3600):
        """Copy these files below ``<job>/<id>`` from there into a local folder, as far as they are there, and nothing else."""
        if not names:
            return
        folders = {f"{above}/" for name in names for above in PurePosixPath(name).parents[:-1]}
        wanted = "".join(
            f"/{name}\n" for name in (*sorted(folders), *names)
        )  # no name of ours has what rsync takes for a pattern
        there, here = f"{self._url}/{job}/{backup}/", f"{_files.made(folder)}/"
        words = ["-rt", "--include-from=-", "--exclude=*", there, here]
        self._rsync(*words, deadline_s=deadline_s, given=wanted)

    def files(self, job, backup):
        """``{name below the folder: bytes}`` of all that ``<job>/<id>`` has there but folders."""
        listed = self._rsync("-r", "--no-human-readable", "--list-only", f"{self._url}/{job}/{backup}/")
        entries = (line.split(maxsplit=4) for line in listed.splitlines() if line and not line.startswith("d"))
        return {name: int(size.replace(",", "")) for _, size, _, _, name in entries}

    def manifests(self, folder, jobs):
        """Fetch the manifests of these jobs; the ids of all their folders, those without a manifest too."""
        try:
            listed = self._rsync(
                "-r", "--list-only", "--include=/*/", "--include=/*/*/", "--exclude=*", f"{self._url}/"
            )
        except CommandExecutionError as error:
            raise CommandExecutionError(f"store {self.name} cannot be looked at: {error}") from error
        wanted = [f"--include=/{job}/" for job in jobs] + [f"--include=/{job}/*/" for job in jobs]
        wanted += [f"--include=/{job}/*/{_files.MANIFEST}" for job in jobs]
        self._rsync("-r", *wanted, "--exclude=*", f"{self._url}/", f"{folder}/")
        paths = (line.split(maxsplit=4)[-1] for line in listed.splitlines() if line.startswith("d"))
        return sorted(path for path in paths if path.count("/") == 1 and path.split("/")[0] in jobs)

    def delete(self, job, backup):
        """Remove ``<job>/<id>`` there, the manifest first: what is half deleted is no backup any more."""
        with tempfile.TemporaryDirectory() as empty:
            (Path(empty) / job).mkdir()
            only = [f"--include=/{job}/", f"--include=/{job}/{backup}/", f"--include=/{job}/{backup}/{_files.MANIFEST}"]
            (Path(empty) / job / backup).mkdir()
            self._rsync("-r", "--delete", *only, "--exclude=*", f"{empty}/", f"{self._url}/")
            (Path(empty) / job / backup).rmdir()
            only = [f"--include=/{job}/", f"--include=/{job}/{backup}/***"]
            self._rsync("-r", "--delete", *only, "--exclude=*", f"{empty}/", f"{self._url}/")

    def _rsync(self, *words, deadline_s=LOOK_S, given=None):
        limits = [f"--contimeout={CONNECT_S}", f"--timeout={SILENT_S}"]
        return _commands.run(["rsync", *limits, *words], env=self._env, deadline_s=deadline_s, given=given)


class S3:
    """A bucket, or a part of one, with encryption on the server's side, and on this one where there is a key; by rclone."""

    def __init__(
        self,
        name,
        bucket,
        prefix="",
        encryption="AES256",
        key_id="",
        endpoint="",
        region="",
        access_key="",
        secret_key="",
        encryption_key="",
        **_,
    ):
        self.name = name
        endpoint = endpoint or configured_endpoint()
        self._root = "store:" + "/".join(part.strip("/") for part in (bucket, prefix) if part)
        declared = {
            "TYPE": "s3", "PROVIDER": "Other" if endpoint else "AWS", "ENDPOINT": endpoint, "REGION": region,
            "ENV_AUTH": "false" if access_key else "true", "ACCESS_KEY_ID": access_key, "SECRET_ACCESS_KEY": secret_key,
            "SERVER_SIDE_ENCRYPTION": encryption, "SSE_KMS_KEY_ID": key_id, "NO_CHECK_BUCKET": "true",
        }  # fmt: skip
        self._env = {f"RCLONE_CONFIG_STORE_{key}": str(value) for key, value in declared.items() if value}
        self._encrypted = bool(encryption_key)
        if encryption_key:
            self._encrypt(str(encryption_key))

    def _encrypt(self, key):
        """Lay rclone's crypt remote over the bucket. Names stay as they are, with `.bin` behind: they hold no secret.

        Source: rclone's documentation, "Crypt"; the form that it wants keys in comes from `rclone obscure -`.
        """
        declared = {
            "TYPE": "crypt", "REMOTE": self._root, "FILENAME_ENCRYPTION": "off", "DIRECTORY_NAME_ENCRYPTION": "false",
            "PASSWORD": self._rclone("obscure", "-", given=key).strip(),
        }  # fmt: skip
        self._env |= {f"RCLONE_CONFIG_ENCRYPTED_{name}": value for name, value in declared.items()}
        self._root = "encrypted:"

    def _at(self, *parts):
        """A folder of the store, as rclone names it."""
        return self._root + ("" if self._root.endswith(":") else "/") + "/".join(parts)

    def put(self, folder, job, backup, only="", deadline_s=3600):
        """As `Rsync.put`."""
        what = ["--include", f"/{only}"] if only else ["--exclude", f"/{_files.MANIFEST}"]
        self._rclone("copy", *what, folder, self._at(job, backup), deadline_s=deadline_s)

    def get(self, job, backup, folder, names, deadline_s=3600):
        """As `Rsync.get`."""
        if not names:  # no list would be no filter
            return
        words = ["copy", "--files-from", "-", self._at(job, backup), _files.made(folder)]
        self._rclone(*words, deadline_s=deadline_s, given="".join(f"{name}\n" for name in names))

    def files(self, job, backup):
        """As `Rsync.files`."""
        words = ["lsjson", "-R", "--files-only", "--no-modtime", "--no-mimetype", self._at(job, backup)]
        return {entry["Path"]: entry["Size"] for entry in json.loads(self._rclone(*words) or "[]")}

    def manifests(self, folder, jobs):
        """As `Rsync.manifests`."""
        try:
            listed = json.loads(
                self._rclone("lsjson", "-R", "--files-only", "--no-modtime", "--no-mimetype", self._root) or "[]"
            )
        except CommandExecutionError as error:
            raise CommandExecutionError(f"store {self.name} cannot be looked at: {error}") from error
        wanted = [word for job in jobs for word in ("--include", f"/{job}/*/{_files.MANIFEST}")]
        if wanted:
            try:
                self._rclone("copy", *wanted, self._root, folder)
            except CommandExecutionError as error:
                self._undecipherable(folder, [entry["Path"] for entry in listed], jobs, error)
        paths = {"/".join(entry["Path"].split("/")[:2]) for entry in listed if entry["Path"].count("/") >= 2}
        return sorted(path for path in paths if path.split("/")[0] in jobs)

    def _undecipherable(self, folder, paths, jobs, error):
        """Let manifests that are there and cannot be decrypted pass for unreadable ones, not for unfinished backups.

        Raises: CommandExecutionError where none can be decrypted: then it is the key.
        """
        manifests = [Path(folder) / path for path in paths if path.split("/")[0] in jobs and path.count("/") == 2]
        manifests = [path for path in manifests if path.name == _files.MANIFEST]
        lost = [path for path in manifests if not path.is_file()]
        if not self._encrypted or not lost:
            raise error
        if len(lost) == len(manifests):
            raise CommandExecutionError(
                f"store {self.name}: no manifest can be decrypted with this store's encryption_key, or S3 failed: {error}"
            ) from error
        for path in lost:
            _files.made(path.parent)
            path.write_text("cannot be decrypted", "utf-8")

    def delete(self, job, backup):
        """As `Rsync.delete`."""
        place = self._at(job, backup)
        self._rclone("delete", "--include", f"/{_files.MANIFEST}", place)
        self._rclone("purge", place)

    def _rclone(self, *words, deadline_s=LOOK_S, given=None):
        how = [
            "--config",
            "",
            "--contimeout",
            f"{CONNECT_S}s",
            "--timeout",
            f"{SILENT_S}s",
            "--retries",
            "2",
            "--low-level-retries",
            "3",
        ]
        return _commands.run(["rclone", *how, *words], env=self._env, deadline_s=deadline_s, given=given)
