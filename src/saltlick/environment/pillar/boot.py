"""User data for a server's first boot: the master to trust and the server's identity. Holds no secret."""

from __future__ import annotations

import hashlib
import hmac
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import jinja2

from saltlick import tree
from saltlick.engine.resource import Join, Key, Ref, Text
from saltlick.environment.pillar.layout import DeclaredServer, masters
from saltlick.environment.pillar.model import Environment
from saltlick.environment.pillar.servers import BootAs
from saltlick.errors import InvalidInput, Problem

LIMIT_BYTES = 16384
"""Source: Amazon EC2 User Guide, "Instance user data is limited to 16 KB, in raw form"."""

_LATER = "@@master@@"


@dataclass(frozen=True, kw_only=True)
class Boot:
    """Renders user data from the scripts in `bootstrap/`.

    `master_finger` is the fingerprint of the master's key, by which minions know their master. `secret` is the master's own, from
    which each server's nonce is made: the console of that server has to repeat it. `repository` and
    `revision` are where a master gets this project from, in place of the pillar's own under `salt`.
    """

    master_finger: str
    secret: str = ""
    repository: str = ""
    revision: str = ""
    scripts: Path = field(default_factory=lambda: tree.folder("bootstrap"))

    def user_data(
        self, server: DeclaredServer, environment: Environment, peers: Mapping[str, Environment]
    ) -> Text | None:
        """The first-boot script of one server: a text, or a `Join` where the master's address is known later only.

        Raises:
            InvalidInput: when what the script needs (fingerprint, repository) is not known, or AWS takes none so long.
        """
        if server.boot is BootAs.NONE:
            return None
        if server.boot is BootAs.MASTER:
            return _fits(server, self._master(server, environment))
        return self._minion(server, environment, peers)

    def _master(self, server: DeclaredServer, environment: Environment) -> str:
        repository = self.repository or environment.salt.repository
        if not repository:
            where = Problem("environment.salt.repository", f"{server.name} has to know where to get Saltlick from")
            raise InvalidInput([where], what=f"first boot of {server.name}")
        revision = self.revision or environment.salt.revision
        return self._render("master.sh.j2", server, repository=repository, revision=revision)

    def _minion(self, server: DeclaredServer, environment: Environment, peers: Mapping[str, Environment]) -> Text:
        if not self.master_finger:
            # With an empty master_finger a minion trusts the first master that answers.
            where = Problem("", "the fingerprint of the master's key is not known, and no minion boots without it")
            raise InvalidInput([where], what=f"first boot of {server.name}")
        address = master_address(environment, peers)
        known = address if isinstance(address, str) else _LATER
        text = _fits(server, self._render("minion.sh.j2", server, master=known, **self._identity(server)))
        return text if isinstance(address, str) else _with_reference(text, address)

    def _identity(self, server: DeclaredServer) -> dict[str, str]:
        return {"master_finger": self.master_finger, "nonce": boot_nonce(self.secret, server.environment, server.name)}

    def _render(self, script: str, server: DeclaredServer, **given: str) -> str:
        return (
            _scripts(self.scripts).get_template(script).render(id=server.name, environment=server.environment, **given)
        )


def boot_nonce(secret: str, environment: str, server: str) -> str:
    """What only the master and that server's user data know: 32 hexadecimal digits. The same again for the same server."""
    return hmac.new(secret.encode(), f"{environment}/{server}".encode(), hashlib.sha256).hexdigest()[:32]


def master_address(environment: Environment, peers: Mapping[str, Environment]) -> str | Ref:
    """Where minions find their master: as the pillar says, else the private address of the master here or in a peer.

    Raises:
        InvalidInput: when there is none, or more than one to choose from (`check` says so earlier).
    """
    if environment.salt.master:
        return environment.salt.master
    candidates = masters(environment, peers)
    if len(candidates) != 1:
        where = Problem("environment.salt.master", f"there are {len(candidates)} masters to choose from; name one")
        raise InvalidInput([where], what=f"environment {environment.name}")
    master = candidates[0]
    return master.private_ip or Ref(Key(master.environment, master.address), "private_ip")


@cache
def _scripts(folder: Path) -> jinja2.Environment:
    loader = jinja2.FileSystemLoader(folder)
    scripts = jinja2.Environment(loader=loader, undefined=jinja2.StrictUndefined, keep_trailing_newline=True)  # noqa: S701 (shell, not HTML)
    scripts.filters["quote"] = shlex.quote
    return scripts


def _with_reference(text: str, address: Ref) -> Join:
    parts: list[str | Ref] = []
    for piece in text.split(_LATER):
        parts += [piece, address]
    return Join(tuple(parts[:-1]))


def _fits(server: DeclaredServer, text: str) -> str:
    if (size := len(text.encode())) > LIMIT_BYTES:
        what = f"its user data has {size} bytes; AWS takes {LIMIT_BYTES}"
        raise InvalidInput([Problem("", what)], what=f"first boot of {server.name}")
    return text
