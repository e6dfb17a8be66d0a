"""Checks over what was restored, before it serves. Sibling of `backup`."""

from salt.exceptions import CommandExecutionError

try:
    import _saltlick_backup_commands as _commands
except ImportError:
    from saltlick.modules import _saltlick_backup_commands as _commands

WITHIN_S = 300


def checked(checks, user, scratch=None, stage=None, env=None):
    """What each check found, of a running `Scratch` or of what is in a `Stage` (see `Stage.run` for `env`).

    A command runs as `user` where the check names nobody. Raises: CommandExecutionError with every one that failed.
    """
    results = [_result_of(check, user, scratch, stage, env) for check in checks]
    if bad := [f"{result['name']}: {result['why']}" for result in results if not result["ok"]]:
        raise CommandExecutionError(f"{len(bad)} of {len(results)} checks failed: {'; '.join(bad)}")
    return results


def _result_of(check, user, scratch, stage, env):
    name = check["name"]
    try:
        if check.get("query"):
            value = scratch.psql(check["database"], check["query"])
        else:
            value = _printed(["sh", "-c", check["command"]], check.get("user") or user, scratch, stage, env).strip()
    except CommandExecutionError as error:
        return {"name": name, "ok": False, "why": str(error)}
    return {"name": name, "value": value, **_verdict(check, value)}


def _printed(command, user, scratch, stage, env):
    if stage:
        return stage.run(command, user, env, WITHIN_S)
    where = {"PGHOST": scratch.cluster["socket_dir"], "PGPORT": str(scratch.cluster["port"])}
    return _commands.run(command, user=user, env=where, deadline_s=WITHIN_S)


def _verdict(check, value):
    if check.get("equals") is not None and value != str(check["equals"]):
        return {"ok": False, "why": f"is {value!r} and not {str(check['equals'])!r}"}
    if check.get("at_least") is not None:
        try:
            if float(value) < float(check["at_least"]):
                return {"ok": False, "why": f"is {value}, less than {check['at_least']}"}
        except ValueError:
            return {"ok": False, "why": f"{value!r} is no number"}
    return {"ok": True}
