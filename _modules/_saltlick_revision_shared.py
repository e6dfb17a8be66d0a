"""Files and folders that all revisions of an application share: a link in each release. Sibling of `revision`.

Everything is done as the application's user: a revision may bring links along.
"""

from pathlib import Path

from salt.exceptions import CommandExecutionError

try:
    import _saltlick_revision_run as _run
except ImportError:
    from saltlick.modules import _saltlick_revision_run as _run

SHARED = "shared"


def link(home, release, names, user):
    """
    Let each name in a release's folder be a link to its namesake in ``<home>/shared``. A folder (``uploads/``) is made there.

    What the revision itself has by that name is not in the release then.

    Raises:
        CommandExecutionError: a file is not there, or a folder on the way to a name is a link in this revision.
    """
    if names and not (home / SHARED).exists():
        (home / SHARED).mkdir(exist_ok=True)
        _run.give(home / SHARED, user)
    for name in names:
        there, here = home / SHARED / name, release / name
        if name.endswith("/"):
            _run.run(["mkdir", "-p", "--", str(there)], user)
        elif not there.exists():
            raise CommandExecutionError(f"{there} is not there: put it on the server before a release links it")
        _refuse_links(release, Path(name).parent)
        _run.run(["rm", "-rf", "--", str(here)], user)
        _run.run(["mkdir", "-p", "--", str(here.parent)], user)
        _run.run(["ln", "-s", "--", _target(name), str(here)], user)


def linked(release, names):
    """Whether a release's folder has all these links."""
    links = ((release / name, _target(name)) for name in names)
    return all(path.is_symlink() and str(path.readlink()) == target for path, target in links)


def _target(name):
    """From where the link lies: releases/<sha>/<name>. Relative, so that the application's folder may be seen elsewhere."""
    return "../" * (len(Path(name).parts) + 1) + f"{SHARED}/{Path(name)}"


def _refuse_links(release, parent):
    """A link on the way would let a name lead out of the release, or into what is shared."""
    for folder in reversed([release / parent, *(release / parent).parents]):
        if folder.is_relative_to(release) and folder.is_symlink():
            raise CommandExecutionError(
                f"shared: {folder.relative_to(release)} is a link in this revision, so nothing is linked inside of it"
            )
