"""The module `revision` for several minions of one machine: each has the application's folder in one of its own."""

import importlib.util
import sys
from pathlib import Path

_SOURCE = Path(__file__).resolve().parents[4] / "_modules" / "revision.py"
_spec = importlib.util.spec_from_file_location("the_real_revision", _SOURCE)
sys.path.append(str(_SOURCE.parent))  # as the loader does, for what the module has beside it
_real = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_real)


def _own(directory):
    return f"{directory}/{__grains__['id']}"  # noqa: F821


def _given(kwargs):
    found = {key: value for key, value in kwargs.items() if not key.startswith("__")}
    return {**found, "directory": _own(found["directory"])} if "directory" in found else found


def resolve(repository, rev, **kwargs):
    return _real.resolve(repository, rev, **_given(kwargs))


def prepare(directory, *args, **kwargs):
    return _real.prepare(_own(directory), *args, **_given(kwargs))


def built(directory, *args, **kwargs):
    return _real.built(_own(directory), *args, **_given(kwargs))


def activate(directory, *args, **kwargs):
    return _real.activate(_own(directory), *args, **_given(kwargs))


def checkout(directory, *args, **kwargs):
    return _real.checkout(_own(directory), *args, **_given(kwargs))


def current(directory, **kwargs):
    return _real.current(_own(directory), **_given(kwargs))


def mark(directory, *args, **kwargs):
    return _real.mark(_own(directory), *args, **_given(kwargs))


def prune(directory, **kwargs):
    return _real.prune(_own(directory), **_given(kwargs))


def free(directory):
    return _real.free(_own(directory))


def note(line, **kwargs):
    return _real.note(line, log=f"/{__opts__['root_dir'].strip('/')}/releases.log")  # noqa: F821
