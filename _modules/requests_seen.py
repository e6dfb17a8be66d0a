"""Count the requests that a server saw, and those that it answered with an error, from a log of JSON lines.

Source: such lines are what Saltlick's formulas have nginx, HAProxy and the application write; each holds `time`, as
``2026-11-22T10:00:00+00:00`` or in seconds of the epoch, and `status`.

Needs Salt and the standard library only, so a plain module sync carries it.
"""

import collections
import datetime
import itertools
import json
import os
import re

from salt.exceptions import CommandExecutionError

LATE_S = 60
"""A line may be this much out of order: what took long is logged late, and some log the beginning of a request."""
_OFFSET = re.compile(r"([+-]\d\d):?(\d\d)$")


def count(log, since, until):
    """
    Count requests by second. Looks at the part of the log that matters only, and into the log before it (``<log>.1``) if need be.

    log
        path of a file of JSON lines, the oldest first
    since
        first second, in seconds of the epoch
    until
        last second

    Returns ``{"1763805600": 12, "1763805601": 9}``; a second without requests is left out. Keys are text, as JSON has them.

    Raises:
        CommandExecutionError: the log is not there or cannot be read.

    CLI Example:

    .. code-block:: bash

        salt 'prod-app-*' requests_seen.count /var/log/nginx/access.log 1763805600 1763805660
    """
    counts = collections.Counter(int(_time(line)) for line in _lines(log, float(since), float(until)))
    return {str(second): counts[second] for second in sorted(counts)}


def errors(log, since, until):
    """
    Count the requests of a span of time, and how many of them were answered with a status of 500 or more.

    log
        path of a file of JSON lines, the oldest first
    since
        first second, in seconds of the epoch
    until
        last second

    Returns ``{"requests": 120, "errors": 3}``.

    Raises:
        CommandExecutionError: the log is not there or cannot be read.

    CLI Example:

    .. code-block:: bash

        salt 'prod-app-*' requests_seen.errors /var/log/nginx/access.log 1763805600 1763805660
    """
    bad = [_is_error(line) for line in _lines(log, float(since), float(until))]
    return {"requests": len(bad), "errors": sum(bad)}


def _lines(log, since, until):
    """The lines of that time, of the log and of the one before it if need be."""
    try:
        found, late = _read(str(log), since, until)
        if late and os.path.exists(f"{log}.1"):  # noqa: PTH110
            found += _read(f"{log}.1", since, until)[0]
    except OSError as error:
        raise CommandExecutionError(f"{log} cannot be read: {error.strerror or error}") from error
    return found


def _read(path, since, until):
    """The lines of that time in one file, and whether it begins too late to hold all of them."""
    found = []
    with open(path, "rb") as file:  # noqa: PTH123
        begins = _next_time(file, 0)
        file.seek(_place(file, since - LATE_S))
        file.readline() if file.tell() else None
        for line in file:
            moment = _time(line)
            if moment is None:
                continue
            if moment > until + LATE_S:
                break
            if int(since) <= int(moment) <= int(until):
                found.append(line)
    return found, begins is None or begins > since - LATE_S


def _place(file, moment):
    """Where to begin to read, by halving: the beginning, or inside a line that is old, as all before it are."""
    low, high = 0, file.seek(0, os.SEEK_END)
    while high - low > 4096:
        middle = (low + high) // 2
        seen = _next_time(file, middle)
        if seen is not None and seen < moment:
            low = middle
        else:
            high = middle
    return low


def _next_time(file, place):
    """The time of the first whole line after a place that has one; None when there is none near."""
    file.seek(place)
    if place:
        file.readline()
    times = map(_time, itertools.islice(file, 100))
    return next((moment for moment in times if moment is not None), None)


def _is_error(line):
    status = str(json.loads(line).get("status", ""))
    return len(status) == 3 and status.startswith("5")


def _time(line):
    """Seconds of the epoch; None for a line that is none of ours."""
    try:
        moment = json.loads(line)["time"]
        if isinstance(moment, (int, float)):
            return float(moment)
        # Python 3.10 knows neither Z nor an offset without its colon.
        text = _OFFSET.sub(r"\1:\2", moment.replace("Z", "+00:00"))
        return datetime.datetime.fromisoformat(text).timestamp()
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
