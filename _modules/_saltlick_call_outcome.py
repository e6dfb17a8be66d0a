"""What came of a function, as a Salt return has it. Sibling of `saltlick_call`.

Source: Salt 3008, `salt.minion.Minion._thread_return`: what it makes of values, exit codes and exceptions.
"""

import contextlib
import os
import traceback
from pathlib import Path

import salt.payload
from salt.exceptions import CommandExecutionError, CommandNotFoundError, SaltClientError, SaltInvocationError


def of(functions, context, function, arguments):
    """Return, exit code and success of a function; `arguments` makes (args, kwargs) for it."""
    if function not in functions:
        return _failed(f"'{function}' is not available.")
    context.pop("retcode", None)
    try:
        args, kwargs = arguments(functions[function])
        value = functions[function](*args, **kwargs)
    except CommandNotFoundError as error:
        return _failed(f"Command required for '{function}' not found: {error}")
    except CommandExecutionError as error:
        return _failed(f"ERROR: {error}")
    except (SaltInvocationError, SaltClientError) as error:
        return _failed(f"ERROR executing '{function}': {error}")
    except TypeError as error:
        return _failed(f"Passed invalid arguments to {function}: {error}")
    except Exception:  # the border of one call: whatever a function raises is its outcome
        return _failed(f"The minion function caused an exception: {traceback.format_exc()}")
    retcode = context.get("retcode", 0)
    if not retcode and isinstance(value, dict) and not all(value.get(name, True) for name in ("result", "success")):
        retcode = 1
    return {"return": value, "retcode": retcode, "success": not retcode}


def published(given):
    """What a job says of itself, by the names that it has in a publication (``__pub_jid`` is ``jid``)."""
    return {name.removeprefix("__pub_"): value for name, value in given.items() if name.startswith("__pub_")}


def shown_as(opts, jid, function):
    """Let this minion's record of the job name the function itself: Salt keeps two `state.*` from running at once by it."""
    record = Path(opts.get("cachedir", "")) / "proc" / jid
    with contextlib.suppress(OSError):
        job = salt.payload.loads(record.read_bytes()) if record.is_file() else None
        if isinstance(job, dict):
            fresh = record.with_name(f".{jid}.{os.getpid()}")
            fresh.write_bytes(salt.payload.dumps({**job, "fun": function}))
            fresh.replace(record)


def without(secrets, value):
    """A value with the address where a secret would be, also in the names of mappings. A secret may be a part of another."""
    if isinstance(value, str):
        for secret in sorted(secrets, key=len, reverse=True):
            value = value.replace(secret, secrets[secret])
        return value
    if isinstance(value, dict):
        return {without(secrets, name): without(secrets, item) for name, item in value.items()}
    return [without(secrets, item) for item in value] if isinstance(value, (list, tuple)) else value


def _failed(text):
    return {"return": text, "retcode": 1, "success": False}
