"""A folder of root's own beside a place, where what is restored is made before it takes that place. Sibling of `backup`.

The folder that the place lies in may belong to the service's user, who may rename what is in it at any moment and put a link
there. So it is opened once, and from then on root goes by that handle: a name leads nowhere else. Only root may enter the stage.
"""

import contextlib
import os
import stat
from pathlib import Path

from salt.exceptions import CommandExecutionError

try:
    import _saltlick_backup_commands as _commands
    import _saltlick_backup_traces as _traces
except ImportError:
    from saltlick.modules import _saltlick_backup_commands as _commands
    from saltlick.modules import _saltlick_backup_traces as _traces

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_OPEN = {True: 0o711, False: 0o700}


class Stage:
    """The stage of one place. Its paths (`data`, `place`) go by handles, and hold as long as it is open."""

    def __init__(self, place, handle):
        self.real = Path(place)
        self.name = f".{self.real.name}.restored"
        self._parent, self._own = handle, None

    @property
    def place(self):
        return _by(self._parent) / self.real.name

    @property
    def data(self):
        """What is to take the place, and after the exchange what had it."""
        return _by(self._own) / "data"

    @property
    def named(self):
        """`data` by its name, for commands of others than root: it leads there while `run` runs one."""
        return self.real.parent / self.name / "data"

    def make(self):
        """A new stage. Raises: CommandExecutionError, also where somebody else put something in its place meanwhile."""
        _traces.removed(_by(self._parent) / self.name)
        try:
            os.mkdir(self.name, 0o700, dir_fd=self._parent)
        except OSError as error:
            raise CommandExecutionError(f"{self.real.parent / self.name} cannot be made: {error.strerror}") from error
        self.open()
        if any(_by(self._own).iterdir()):
            raise CommandExecutionError(f"{self.real.parent / self.name} is not the folder that was made there")

    def open(self):
        """The stage that is there. Raises: CommandExecutionError where it is not a folder that only root may enter."""
        where = self.real.parent / self.name
        try:
            self._own = os.open(self.name, _FOLDER, dir_fd=self._parent)
        except OSError as error:
            raise CommandExecutionError(f"{where} cannot be opened: {error.strerror}") from error
        facts = os.fstat(self._own)
        if facts.st_uid != os.geteuid() or stat.S_IMODE(facts.st_mode) != _OPEN[False]:
            raise CommandExecutionError(f"{where} is not the folder that was made there: somebody else may enter it")

    def run(self, command, user, env, deadline_s, source=None):
        """
        What a command prints that finds the restored data by its environment; `env` makes that of the data's path.

        A command of root's goes by the handle. One of another user goes by the name, and may pass through the stage meanwhile.
        `source` is an open file as its standard input.
        """
        if _commands.account(user).pw_uid == os.geteuid():
            return _commands.run(command, user=user, env=env(self.data), deadline_s=deadline_s, source=source)
        os.fchmod(self._own, _OPEN[True])
        try:
            return _commands.run(command, user=user, env=env(self.named), deadline_s=deadline_s, source=source)
        finally:
            os.fchmod(self._own, _OPEN[False])

    def clear(self):
        """Remove it with all that is in it, whatever it is called by now. Raises: CommandExecutionError."""
        if self._own is None:
            return
        for path in list(_by(self._own).iterdir()):
            _traces.removed(path)
        with contextlib.suppress(OSError):  # under another name an empty folder stays
            os.rmdir(self.name, dir_fd=self._parent)

    def close(self):
        for handle in (self._own, self._parent):
            if handle is not None:
                os.close(handle)

    def said(self, text):
        """Text with the names of the places instead of the handles."""
        own = [] if self._own is None else [(_by(self._own), self.real.parent / self.name)]
        for handle, path in [*own, (_by(self._parent), self.real.parent)]:
            text = text.replace(f"{handle}/", f"{path}/")
        return text


def _by(handle):
    """The folder of a handle as a path, for commands that this process starts too. Source: proc(5)."""
    return Path(f"/proc/{os.getpid()}/fd/{handle}")


@contextlib.contextmanager
def beside(place):
    """A `Stage`, for now without a folder. `place` has no links on its way. Raises: CommandExecutionError."""
    stage = Stage(place, _opened(Path(place).parent))
    try:
        yield stage
    except CommandExecutionError as error:
        raise CommandExecutionError(stage.said(str(error))) from error
    finally:
        stage.close()


def user_folder(path, user):
    """A new folder of the user's. Raises: CommandExecutionError.

    By root only where nobody else can put something in its place: the user's own folders are the user's affair.
    """
    path, entry = Path(path), _commands.account(user)
    handle = _opened(path.parent)
    try:
        facts = os.fstat(handle)
        if facts.st_uid != 0 or facts.st_mode & 0o022:
            _commands.run(["mkdir", "-m", "700", path], user=user)
            return
        os.mkdir(path.name, 0o700, dir_fd=handle)
        os.chown(path.name, entry.pw_uid, entry.pw_gid, dir_fd=handle, follow_symlinks=False)
    except OSError as error:
        raise CommandExecutionError(f"{path} cannot be made: {error.strerror}") from error
    finally:
        os.close(handle)


def _opened(folder):
    """A handle of a folder, by no link. Raises: CommandExecutionError."""
    handle = os.open("/", _FOLDER)
    for part in folder.parts[1:]:
        above = handle
        try:
            handle = os.open(part, _FOLDER, dir_fd=above)
        except OSError as error:
            raise CommandExecutionError(f"{folder} cannot be opened at {part}: {error.strerror}") from error
        finally:
            os.close(above)
    return handle
