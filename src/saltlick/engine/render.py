"""A plan and its outcomes as an operator wants to read them, and as plain data for machines."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from saltlick.engine.apply import Outcome, Report
from saltlick.engine.diff import Change
from saltlick.engine.plan import Action, Plan, Verb
from saltlick.engine.resource import Join, Key, Ref
from saltlick.terminal import Painter, painter

SIGNS: Mapping[Verb, str] = {
    Verb.CREATE: "+",
    Verb.UPDATE: "~",
    Verb.REPLACE: "±",
    Verb.DELETE: "-",
    Verb.KEEP: " ",
}


def text(plan: Plan, *, colour: bool = False, everything: bool = False) -> str:
    """The plan for people: grouped by environment and kind, field: old → new, counts last.

    Kept resources are counted, and listed when `everything` is asked for.
    """
    paint = painter(colour)
    names = {observed.id: key for key, observed in plan.snapshot.objects.items()}
    lines: list[str] = []
    for environment in plan.environments:
        lines += _environment(plan, environment, names, paint, everything)
    lines += _missing(plan, paint)
    return "\n".join([*lines, _counts(plan, paint)])


def _environment(plan: Plan, environment: str, names: Mapping[str, Key], paint: Painter, everything: bool) -> list[str]:
    shown = [a for a in plan.actions if a.key.environment == environment and (everything or _worth_showing(a))]
    undeclared = [o for o in plan.undeclared if o.key.environment == environment]
    kept = sum(a.verb is Verb.KEEP for a in plan.actions if a.key.environment == environment)
    lines = [paint("bold", environment) + (f"  {kept} unchanged" if kept and not everything else "")]
    width = max((len(a.key.address) for a in shown), default=0)
    for kind, actions in groupby(sorted(shown, key=lambda a: a.key.kind), key=lambda a: a.key.kind):
        lines.append("  " + paint("dim", kind.replace("_", " ")))
        for action in actions:
            lines += _action(action, names, paint, width)
    for observed in undeclared:
        lines.append(
            "  " + paint("?", f"? {observed.key.address}  {observed.id}  ours but not declared (prune=True deletes it)")
        )
    for observed in plan.kept:
        if observed.key.environment == environment:
            lines.append("  " + paint("?", f"= {observed.key.address}  {observed.id}  kept with what is in it"))
    return lines


def _worth_showing(action: Action) -> bool:
    return action.verb is not Verb.KEEP or bool(action.drift or action.undecided)


def _action(action: Action, names: Mapping[str, Key], paint: Painter, width: int) -> Iterator[str]:
    sign = "±" if action.undecided else SIGNS[action.verb]
    if sign == " " and action.drift:
        sign = "!"
    yield "    " + paint(sign, f"{sign} {action.key.address:<{width}}") + f"  {paint('dim', action.title)}".rstrip()
    marks = ((action.changes, ""), (action.drift, "  drift, left alone"), (action.undecided, "  needs replace="))
    for changes, note in marks:
        remark = note + action.key.address if note.endswith("=") else note
        for change in changes:
            yield f"        {change.field}: {_change(change, names)}{paint('dim', remark)}"


def _missing(plan: Plan, paint: Painter) -> list[str]:
    environments = sorted({ref.key.environment for ref in plan.missing})
    return [
        paint("✗", f"✗ needs environment {name}, which is not there yet: apply {name} first") for name in environments
    ]


def _counts(plan: Plan, paint: Painter) -> str:
    count = plan.counts
    undecided = sum(bool(action.undecided) for action in plan.actions)
    parts = [
        paint("+", f"+ {count['create']} to create"),
        paint("~", f"~ {count['update']} to update"),
        paint("±", f"± {count['replace']} to replace"),
        paint("-", f"- {count['delete']} to delete"),
        f"{count['keep'] - undecided} unchanged",
    ]
    if undecided:
        parts.append(paint("±", f"{undecided} to decide on"))
    if plan.undeclared:
        parts.append(paint("?", f"{len(plan.undeclared)} undeclared"))
    drifted = sum(bool(action.drift) for action in plan.actions)
    if drifted:
        parts.append(paint("!", f"{drifted} drifted"))
    return "  ".join(parts)


def _change(change: Change, names: Mapping[str, Key]) -> str:
    """`old → new`; of lists what comes and what goes, since that is what one looks for in ten firewall rules."""
    if not (isinstance(change.old, tuple) and isinstance(change.new, tuple)):
        return f"{_value(change.old, names)} → {_value(change.new, names)}"
    old, new = ([_value(item, names) for item in items] for items in (change.old, change.new))
    gone = [f"- {item}" for item in old if item not in new]
    come = [f"+ {item}" for item in new if item not in old]
    return "; ".join(gone + come) or "in another order"


def _value(value: Any, names: Mapping[str, Key]) -> str:
    """A value in the operator's words: AWS ids as the addresses they belong to, what comes later as such."""
    if isinstance(value, Ref):
        return value.key.address if value.key in names.values() else f"{value.key.address} (known later)"
    if isinstance(value, Join):
        return "(known later)"
    if isinstance(value, str):
        return str(names[value].address) if value in names else (value or '""')
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(_value(item, names) for item in value) + "]"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        named = {
            name: _value(item, names) for name, item in fields.items() if isinstance(item, (str, Ref)) and item != ""
        }
        return str(dataclasses.replace(value, **named))
    if value is None:
        return "nothing"
    return str(value).lower() if isinstance(value, bool) else str(value)


def progress(outcome: Outcome, *, colour: bool = False) -> str:
    """One line for one finished action: sign, address, id, milliseconds, and the error if there is one."""
    paint = painter(colour)
    sign = SIGNS[outcome.verb] if outcome.ok else "✗"
    line = f"{sign} {outcome.key}  {outcome.id}".rstrip()
    if outcome.error is not None:
        return paint("✗", f"{line}  {outcome.duration_ms} ms  {outcome.error}")
    if outcome.waits_for is not None:
        return paint("✗", f"{line}  not started: needs {outcome.waits_for}")
    if outcome.interrupted:
        return paint("…", f"{line}  not started: interrupted")
    return paint(sign, line) + paint("dim", f"  {outcome.duration_ms} ms")


def report_text(report: Report, *, colour: bool = False) -> str:
    """The end of an apply in one line."""
    done = {verb: sum(o.ok and o.verb is verb for o in report.outcomes) for verb in Verb}
    line = (
        f"{done[Verb.CREATE]} created, {done[Verb.UPDATE]} updated, {done[Verb.REPLACE]} replaced, "
        f"{done[Verb.DELETE]} deleted, {done[Verb.KEEP]} unchanged, {len(report.failed)} failed "
        f"in {report.duration_ms / 1000:.1f} s"
    )
    return painter(colour)("✗" if report.failed else "bold", line)


def data(plan: Plan) -> dict[str, Any]:
    """The plan as plain data: counts, actions with their changes, undeclared objects, missing peers."""
    return {
        "environments": list(plan.environments),
        "counts": dict(plan.counts),
        "actions": [_action_data(action) for action in plan.actions],
        "undeclared": [{"address": str(o.key), "id": o.id} for o in plan.undeclared],
        "missing": sorted({str(ref.key) for ref in plan.missing}),
        **({"kept": [str(observed.key) for observed in plan.kept]} if plan.kept else {}),
    }


def _action_data(action: Action) -> dict[str, Any]:
    content: dict[str, Any] = {
        "address": str(action.key),
        "action": action.verb.value,
        "name": action.title,
        "id": action.observed.id if action.observed else None,
    }
    for name, changes in (("changes", action.changes), ("drift", action.drift), ("undecided", action.undecided)):
        if changes:
            content[name] = change_data(changes)
    return content


def change_data(changes: Iterable[Change]) -> dict[str, dict[str, Any]]:
    """Field to `{"old": …, "new": …}` in plain values."""
    return {change.field: {"old": _plain(change.old), "new": _plain(change.new)} for change in changes}


def report_data(report: Report) -> dict[str, Any]:
    """The outcomes as plain data."""
    return {
        "duration_ms": report.duration_ms,
        "failed": len(report.failed),
        "outcomes": [_outcome_data(outcome) for outcome in report.outcomes],
    }


def _outcome_data(outcome: Outcome) -> dict[str, Any]:
    content: dict[str, Any] = {
        "address": str(outcome.key),
        "action": outcome.verb.value,
        "name": outcome.title,
        "id": outcome.id or None,
        "ok": outcome.ok,
        "duration_ms": outcome.duration_ms,
    }
    if outcome.error is not None:
        content["error"] = str(outcome.error)
    if outcome.waits_for is not None:
        content["waits_for"] = str(outcome.waits_for)
    return content


def _plain(value: Any) -> Any:
    if isinstance(value, (Ref, Join)):
        return _value(value, {})
    if isinstance(value, (tuple, list, frozenset)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
