"""Scripts over what was restored, before anybody sees it. Sibling of `backup`."""

import contextlib

from salt.exceptions import CommandExecutionError


def suit(kind, scripts):
    """CommandExecutionError unless each script is one that this kind of data can be changed by: nothing is left out silently."""
    wanted = "sql" if kind == "postgresql" else "command"
    for number, script in enumerate(scripts, 1):
        if not script.get(wanted):
            raise CommandExecutionError(f"{_name(number, scripts)}: scripts over {kind} have `{wanted}`")


def sql(scripts, scratch, deadline_s):
    """Each in its database, all or nothing. Raises: CommandExecutionError with the one that failed."""
    for number, script in enumerate(scripts, 1):
        with _named(number, scripts):
            scratch.psql(script["database"], script["sql"], deadline_s=deadline_s)


def commands(scripts, user, stage, env, deadline_s):
    """Each as a command over what is in a `Stage` (see `Stage.run` for `env`); `user` runs those that name nobody.

    Raises: as `sql`.
    """
    for number, script in enumerate(scripts, 1):
        with _named(number, scripts):
            stage.run(["sh", "-c", script["command"]], script.get("user") or user, env, deadline_s)


@contextlib.contextmanager
def _named(number, scripts):
    """Say in an error which script it is of."""
    try:
        yield
    except CommandExecutionError as error:
        raise CommandExecutionError(f"{_name(number, scripts)} failed: {error}") from error


def _name(number, scripts):
    script = scripts[number - 1]
    details = [script.get("name"), f"database {script['database']}" if script.get("database") else ""]
    inside = ", ".join(filter(None, details))
    return f"script {number} of {len(scripts)}" + (f" ({inside})" if inside else "")
