"""Without containers: the reference estate on an AWS API inside this process, which keeps records and boots nothing."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from saltlick import aws
from saltlick.demo.bus import deaf_bus
from saltlick.demo.stage import StepFailed, tool
from saltlick.loader import CHECKOUT
from saltlick.sandbox.access import for_owner, new_key
from saltlick.tree import folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from saltlick.demo.stage import DemoStage

ENVIRONMENTS = ("control", "prod", "test")
ALL = ",".join(ENVIRONMENTS)
REGION = "us-east-1"

# One edit per environment, each of another sort: what an operator would change in pillar on an ordinary day.
EDITS = {
    "test": ("app: {count: 2,", "app: {count: 3,", "a third application server"),
    "prod": (
        "{from: app, tcp: [5432, 8100]}",
        "{from: app, tcp: [5432, 8100, 6379]}",
        "one more port to the databases",
    ),
    "control": ("{from: world, udp: 51820}", "{from: world, udp: 51821}", "operators come in at another port"),
}


@dataclass(frozen=True)
class Master:
    """A Salt master's configuration for `salt-run` alone (no daemon), with a pillar of its own to edit."""

    home: Path

    @property
    def pillar(self) -> Path:
        return self.home / "pillar"

    @property
    def sock_dir(self) -> Path:
        return self.home / "bus"

    def prepare(self) -> None:
        """Write the folder again; files of an earlier demo are deleted."""
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.copytree(CHECKOUT / "pillar", self.pillar)
        for cache in ("proc", "jobs"):  # a running master makes these; salt-run alone needs them
            (self.home / "var/cache/salt/master" / cache).mkdir(parents=True)
        roots = {name: [str(self.pillar / name), str(self.pillar / "common")] for name in ENVIRONMENTS}
        config = {
            "root_dir": str(self.home),
            "sock_dir": "/bus",  # below root_dir: Salt puts that before it, but not before a path it finds too long
            "module_dirs": [str(CHECKOUT)],
            "file_roots": {"base": [str(folder("salt"))]},
            "pillar_roots": roots,
            "log_level": "error",
            "log_level_logfile": "quiet",
            "user": _user(),
        }
        (self.home / "master").write_text(json.dumps(config, indent=2), "utf-8")

    def edit(self, environment: str) -> str:
        """Make this environment's edit in its pillar; say what it is."""
        before, after, meaning = EDITS[environment]
        file = self.pillar / environment / "environment.sls"
        text = file.read_text("utf-8")
        if before not in text:
            raise StepFailed("editing the pillar", f"{file} holds no {before!r}")
        file.write_text(text.replace(before, after), "utf-8")
        return meaning

    def salt_run(self, *arguments: str, colour: bool = False) -> list[str]:
        """The command an operator types, with this configuration."""
        extra = ["--force-color"] if colour else []
        return [tool("salt-run"), "-c", str(self.home), *extra, *arguments]


def _user() -> str:
    import getpass

    return getpass.getuser()


@contextlib.contextmanager
def embedded_aws(key: str) -> Iterator[str]:
    """An empty AWS API on this machine for as long as the block lasts, for who has `key`; gives its address.

    One request at a time: moto's serialiser is not made for threads (measured: "dictionary changed size during
    iteration", answered as a server error, about once in 200 calls).
    """
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002
            pass

    moto = for_owner(DomainDispatcherApplication(create_backend_app), key)
    server = make_server("127.0.0.1", 0, moto, threaded=False, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def environ(endpoint: str, key: str) -> dict[str, str]:
    """What points boto3's usual chain, and so every command, at the embedded AWS."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": "demo",
        "AWS_DEFAULT_REGION": REGION,
    }


def play(stage: DemoStage, home: Path | None = None) -> None:
    """Build, re-check, change and repair control, prod and test; show the plans.

    Raises: StepFailed.
    """
    master = Master((home or Path.cwd() / ".saltlick" / "demo").absolute())
    master.prepare()
    key = new_key()
    with embedded_aws(key) as endpoint, deaf_bus(master.sock_dir):
        # The demo's own hand in the drift scene goes by the same chain as the commands.
        os.environ.update(environ(endpoint, key))
        stage.env.update(environ(endpoint, key))
        stage.remark(f"so: no machines boot, but AWS's own API, embedded, at {endpoint}")
        build(stage, master)
        change(stage, master)
        drift(stage, master)
    stage.tour("the tour", facts(master), commands(master))


def build(stage: DemoStage, master: Master) -> None:
    """The reference estate from nothing, and once more to see that nothing is left to do."""
    colour = stage.console.is_terminal
    stage.act("Three environments from pillar")
    stage.show(stage.run("plan of an empty account", master.salt_run("environment.plan", ALL, colour=colour)))
    stage.run("build control, prod and test", master.salt_run("environment.apply", ALL))
    again = stage.run("once more", master.salt_run("environment.apply", ALL, "--out=json"))
    require(stage, "a second run changes nothing", unchanged(again), again)


def change(stage: DemoStage, master: Master) -> None:
    """An edit in each pillar, its plan, and the change made."""
    stage.act("A change in each of them")
    for environment in ENVIRONMENTS:
        stage.remark(f"  {environment}: {master.edit(environment)}")
    colour = stage.console.is_terminal
    stage.show(stage.run("plan of the edits", master.salt_run("environment.plan", ALL, colour=colour)), lines=40)
    stage.run("make the change", master.salt_run("environment.apply", ALL))


def drift(stage: DemoStage, master: Master) -> None:
    """Change something by hand; Saltlick reports the drift and corrects it."""
    stage.act("Somebody clicks in the console")
    with stage.step("delete a route of test by hand"):
        delete_a_route()
    colour = stage.console.is_terminal
    stage.show(
        stage.run(
            "what differs from the pillar", master.salt_run("environment.drift", ALL, colour=colour), expect=(0, 1)
        )
    )
    stage.run("put it right", master.salt_run("environment.apply", ALL))
    again = stage.run("and look again", master.salt_run("environment.drift", ALL, "--out=json"))
    require(stage, "nothing differs", json.loads(again)["drifted"] is False, again)


def delete_a_route() -> None:
    """What a person in a hurry does: straight to AWS, past the pillar."""
    cloud = aws.connect(REGION)
    named = [{"Name": "tag:Name", "Values": ["test-public-rtb"]}]
    table = cloud.call("ec2", "describe_route_tables", Filters=named)["RouteTables"][0]
    cloud.call("ec2", "delete_route", RouteTableId=table["RouteTableId"], DestinationCidrBlock="0.0.0.0/0")


def unchanged(output: str) -> bool:
    """Whether the JSON of an apply says that every resource was kept."""
    counts = json.loads(output)["counts"]
    return bool(counts["keep"]) and sum(counts.values()) == counts["keep"]


def require(stage: DemoStage, title: str, holds: bool, output: str) -> None:
    """A line that is true, or the end of the demo."""
    with stage.step(title):
        if not holds:
            raise StepFailed(title, "it does not hold", output.splitlines()[-25:])


def facts(master: Master) -> dict[str, str]:
    """What was built."""
    return {
        "built": "control, prod and test: three networks, their peerings, firewalls, servers and balancers",
        "where": "on the embedded AWS, which has gone with this command: it keeps records, it boots nothing",
        "to see it boot": "install Docker (Debian: apt install docker.io) and run `make demo` again",
        "pillar": f"{_near(master.pillar)} is the edited copy; pillar/ the original",
    }


def commands(master: Master) -> dict[str, str]:
    """The three to try next."""
    bin_ = _near(Path(tool("salt-run")).parent)
    salt_run = f"{bin_}/salt-run -c {_near(master.home)}"
    keys = master.home / "aws.env"
    standing = environ("http://127.0.0.1:5000", "demo")  # moto's own server, which asks for no key
    keys.write_text("".join(f"export {name}={value}\n" for name, value in standing.items()))
    return {
        "try: an empty AWS that stays": f"{bin_}/moto_server -p 5000 >/dev/null 2>&1 &",
        "try: test and its control, built on it": f". {_near(keys)}\n{salt_run} environment.apply control,test",
        "try: edit the pillar, then": f"{salt_run} environment.plan test",
    }


def _near(path: Path) -> str:
    """As one would type it from here."""
    return os.path.relpath(path)
