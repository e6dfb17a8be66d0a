"""`saltlick sandbox`: a local AWS whose instances really boot."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from saltlick.errors import SaltlickError
from saltlick.sandbox.control import Sandbox
from saltlick.sandbox.faults import Faults
from saltlick.sandbox.settings import Settings, default_directory, load

_STATES = {"running": "green", "healthy": "green", "stopped": "yellow", "draining": "yellow", "unhealthy": "red"}


class _Group(click.Group):
    """Every error of ours becomes one message and its exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SaltlickError as error:
            click.echo(f"saltlick sandbox: {error}", err=True)
            ctx.exit(error.exit_code)


def _notify(line: str) -> None:
    click.echo(f"  {line}", err=True)


@click.group(cls=_Group)
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the sandbox keeps its files ($SALTLICK_SANDBOX_DIR, or .saltlick/sandbox).",
)
@click.pass_context
def sandbox(ctx: click.Context, directory: Path | None) -> None:
    """A local AWS whose instances really boot, in Docker."""
    ctx.obj = (directory or default_directory()).resolve()


@sandbox.command()
@click.option("--name", help="Tells several sandboxes apart (main).")
@click.option("--port", type=int, help="Port of the AWS API; the three after it are used too (4566).")
@click.option("--internet", help="Network in which load balancers get their outer address (198.51.100.0/24).")
@click.option("--latency-ms", type=float, default=None, help="Delay each API call.")
@click.option("--throttle-rate", type=float, default=None, help="Share of calls answered with a throttling error.")
@click.option("--error-rate", type=float, default=None, help="Share of calls answered with a server error.")
@click.option("--lost-rate", type=float, default=None, help="Share of calls carried out whose answer is lost.")
@click.pass_obj
def up(directory: Path, /, name: str | None, port: int | None, internet: str | None, **rates: float | None) -> None:
    """Start it, or see that it runs. Can be repeated."""
    before = load(directory)
    settings = Settings(
        directory=directory,
        name=name or before.name,
        port=port or before.port,
        internet=internet or before.internet,
    )
    faults: dict[str, Any] = {key: value for key, value in rates.items() if value is not None}
    box = Sandbox(settings, _notify)
    _show(box.up(Faults(**faults) if faults else None))
    click.echo("To use it:  eval $(saltlick sandbox env)")


@sandbox.command()
@click.pass_obj
def down(directory: Path) -> None:
    """Stop it and leave nothing behind but images."""
    ran = Sandbox(load(directory), _notify).down()
    click.echo("The sandbox is down." if ran else "The sandbox was not running; nothing of it is left.")


@sandbox.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def status(directory: Path, as_json: bool) -> None:
    """Instances, load balancers with their addresses, and what is wrong."""
    answer = Sandbox(load(directory)).status()
    if as_json:
        click.echo(json.dumps(answer, indent=2))
    else:
        _show(answer)


@sandbox.command(context_settings={"ignore_unknown_options": True})
@click.argument("instance")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def shell(directory: Path, instance: str, command: tuple[str, ...]) -> None:
    """A shell in INSTANCE (name or id), or one command after `--`; its exit code is passed on."""
    sys.exit(Sandbox(load(directory)).shell(instance, command))


@sandbox.command()
@click.argument("instance")
@click.option("-f", "--follow", is_flag=True, help="Go on as it grows.")
@click.pass_obj
def logs(directory: Path, instance: str, follow: bool) -> None:
    """The console of INSTANCE (name or id)."""
    sys.exit(Sandbox(load(directory)).logs(instance, follow=follow))


@sandbox.command()
@click.pass_obj
def env(directory: Path) -> None:
    """The shell variables that point AWS tools at it: eval $(saltlick sandbox env)."""
    for name, value in Sandbox(load(directory)).environment().items():
        click.echo(f"export {name}={shlex.quote(value)}")


@sandbox.command()
@click.argument("name")
@click.argument("source", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.pass_obj
def publish(directory: Path, name: str, source: Path) -> None:
    """Make SOURCE (a checkout, or any folder) clonable in instances as http://git.saltlick.internal/NAME.git."""
    click.echo(Sandbox(load(directory), _notify).publish(name, source.resolve()))


@sandbox.command()
@click.option("--latency-ms", type=float, default=0)
@click.option("--throttle-rate", type=float, default=0)
@click.option("--error-rate", type=float, default=0)
@click.option("--lost-rate", type=float, default=0)
@click.option("--seed", type=int, default=0)
@click.pass_obj
def faults(directory: Path, /, **values: Any) -> None:
    """Inject faults into the running sandbox's API; without options, none."""
    click.echo(json.dumps(Sandbox(load(directory)).faults(Faults(**values))))


def _show(answer: dict[str, Any]) -> None:
    console = Console()
    console.print(f"AWS endpoint  [bold]{answer['endpoint']}[/bold]", highlight=False)
    if answer["instances"]:
        console.print(_instances(answer["instances"]))
    for balancer in answer["balancers"]:
        targets = ", ".join(f"{t['target']}:{t['port']} {_colour(t['state'])}" for t in balancer["targets"]) or "none"
        console.print(
            f"{balancer['name']}  [bold]{' '.join(balancer['urls']) or 'no listener'}[/bold]  targets: {targets}",
            highlight=False,
        )
    for what, problem in answer["problems"].items():
        console.print(f"[red]{what}: {problem}[/red]", highlight=False)


def _instances(instances: list[dict[str, Any]]) -> Table:
    table = Table("name", "id", "state", "container", "address", "zone", box=None, header_style="dim")
    for i in sorted(instances, key=lambda i: (i["state"] == "terminated", i["name"])):
        table.add_row(i["name"], i["id"], _colour(i["state"]), _colour(i["container"]), i["private_ip"], i["zone"])
    return table


def _colour(state: str) -> str:
    colour = _STATES.get(state, "dim")
    return f"[{colour}]{state}[/{colour}]"
