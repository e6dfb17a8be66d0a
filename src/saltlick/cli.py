"""`saltlick`: what works without a Salt master. Everything else is `salt-run` on the master."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import click

from saltlick.errors import InvalidInput, SaltlickError
from saltlick.words import printable

NEEDS_EXTRA = {"sandbox": "the sandbox is an extra: pip install 'saltlick[sandbox]'"}


class _Group(click.Group):
    """Commands of other rooms are imported when asked for; every error of ours becomes one message and its exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), "sandbox"])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return _sandbox() if cmd_name == "sandbox" else super().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SaltlickError as error:
            click.secho(f"saltlick: {error}", err=True, fg="red" if sys.stderr.isatty() else None)
            ctx.exit(error.exit_code)


def _sandbox() -> click.Command:
    try:
        group: click.Command = importlib.import_module("saltlick.sandbox.cli").sandbox
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("saltlick"):
            raise
        return _missing("sandbox", f"{NEEDS_EXTRA['sandbox']} ({error.name} is missing)")
    return group


def _missing(name: str, hint: str) -> click.Command:
    def refuse(**_: Any) -> None:
        raise InvalidInput([hint], what=f"saltlick {name}")

    settings = {"ignore_unknown_options": True, "allow_extra_args": True}
    return click.Command(name, callback=refuse, context_settings=settings, help=f"Not installed: {hint}")


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="saltlick", prog_name="saltlick")
def main() -> None:
    """Web applications on AWS without anyone logging into a server."""


@main.command()
@click.option(
    "--pillar",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=Path("pillar"),
    show_default=True,
    help="Folder with a subfolder per environment.",
)
@click.option("--environment", "name", default="control", show_default=True, help="Environment of the master.")
@click.option("--repository", default="", help="Git repository that the master installs, in place of the pillar's.")
@click.option("--revision", default="", help="Its revision, in place of the pillar's.")
@click.option("--deadline", "deadline_s", type=float, help="Seconds to wait for the master [deadlines.ready_s].")
@click.option("--test", is_flag=True, help="Show the plan and do nothing.")
def bootstrap(pillar: Path, name: str, repository: str, revision: str, deadline_s: float | None, *, test: bool) -> None:
    """Build the control environment and boot its Salt master. Again changes nothing.

    Credentials come from boto3's usual chain.
    """
    from saltlick import aws
    from saltlick.engine import render
    from saltlick.environment import bootstrap as job
    from saltlick.environment import provision
    from saltlick.environment.console import Consoles
    from saltlick.environment.pillarfile import environments
    from saltlick.kinds import KINDS

    control = job.control(pillar, KINDS, name=name, repository=repository, revision=revision)
    job.require_no_exception(control, emulated=aws.emulated(control.environment.region))
    cloud = aws.connect(control.environment.region, notify=_notify)
    _notify(f"{name} in {control.environment.region}, account {job.require_credentials(cloud)}")
    plan = provision.plan(control.estate, cloud, KINDS)
    if test:
        _print(render.text(plan, colour=sys.stdout.isatty()))
        return
    _notify(job.build(control, plan, cloud, KINDS, _watch))
    deadline_s = deadline_s or float(control.environment.deadlines.ready_s)
    masters = job.Wait(consoles=Consoles(cloud), notify=_notify).masters(control, deadline_s=deadline_s)
    others = tuple(other for other in environments(pillar) if other != name)
    _print(job.next_steps(control, masters, others))


@main.command("iam-policy")
@click.option("--roles", is_flag=True, help="Also make roles at the path /saltlick/, under the permissions boundary.")
@click.option("--bucket", "buckets", multiple=True, help="Also make and change buckets of this name; `*` is any text.")
@click.option(
    "--master", default="salt-master", show_default=True, help="The master's own role, which it never changes."
)
@click.option("--boundary", default="saltlick/boundary", show_default=True, help="Path and name of the boundary.")
def iam_policy(*, roles: bool, buckets: tuple[str, ...], master: str, boundary: str) -> None:
    """Print the least that a master may do on AWS, as an IAM policy. No write to IAM is in it without --roles."""
    from saltlick.kinds.iam_policy import policy

    document = policy(roles=roles, buckets=buckets, master=master, boundary=boundary)
    click.echo(json.dumps(document, indent=2, sort_keys=True))


@main.command()
def custodian() -> None:
    """Install Cloud Custodian next to Saltlick, for off-hours. Idempotent.

    In a Python environment of its own: it pins all its packages, boto3 too. 95 MB, about 20 seconds.
    """
    from saltlick.offhours.custodian import install

    click.echo(install(report=_notify))


@main.command()
def schema() -> None:
    """Print the JSON Schema of the pillar keys `environment`, `release` and `offhours`, for editors."""
    from saltlick.reference.json_schema import schema as pillar_schema

    click.echo(json.dumps(pillar_schema(), indent=2))


@main.command()
def demo() -> None:
    """Build an environment on this machine, end to end, and look at it."""
    from saltlick.demo.__main__ import main as play

    sys.exit(play())


def _print(text: str) -> None:
    click.echo(printable(text, colour=sys.stdout.isatty()))


def _notify(line: str) -> None:
    click.echo(printable(line, colour=sys.stderr.isatty()), err=True)


def _watch(outcome: Any) -> None:
    from saltlick.engine import render
    from saltlick.engine.plan import Verb

    if outcome.verb is not Verb.KEEP or not outcome.ok:
        _notify(render.progress(outcome, colour=sys.stderr.isatty()))
