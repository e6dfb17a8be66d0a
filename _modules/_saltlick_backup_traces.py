"""Files that may hold what must not stay: gone when these return. Sibling of `backup`."""

import shutil
from pathlib import Path

from salt.exceptions import CommandExecutionError


def removed(path):
    """No file or folder is there any more. Raises: CommandExecutionError when it cannot be removed."""
    path = Path(path)
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except FileNotFoundError:
        return
    except OSError as error:
        raise CommandExecutionError(f"{path} cannot be removed, and may hold personal data: {error}") from error


def cleared(folder):
    """Nothing is in the folder any more; nothing to do where there is none, or no name of one."""
    if folder and Path(folder).is_dir():
        for path in sorted(Path(folder).iterdir()):
            removed(path)
