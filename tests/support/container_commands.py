"""Commands in containers, with all of their output.

The Docker SDK reads the bare socket of an answer, and loses what came together with its headers: of 60 short commands on a
busy machine 10 to 13 had no output. This reads the buffer, which has both.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from docker.models.containers import Container

FRAME = struct.Struct(">BxxxL")
"""Stream and length of what follows. Source: Docker's Engine API, attach to a container."""
OUTPUT, ERRORS = 1, 2


@dataclass(frozen=True)
class Done:
    """A command that ended, and what it wrote: (stream, bytes), in the order that Docker saw."""

    code: int
    frames: tuple[tuple[int, bytes], ...]

    def text(self, *streams: int) -> str:
        """What it wrote to these streams."""
        return b"".join(content for stream, content in self.frames if stream in streams).decode(errors="replace")


def execute(container: Container, command: Sequence[str]) -> Done:
    """Run a command to its end. Raises: AssertionError when Docker's answer breaks off."""
    api: Any = container.client.api  # type: ignore[union-attr]
    begun = api.exec_create(container.id, list(command))["Id"]
    response = api.exec_start(begun, socket=True)._response
    reader, frames = response.raw._fp.fp, []
    try:
        while header := reader.read(FRAME.size):
            stream, length = FRAME.unpack(header)
            content = reader.read(length)
            assert len(content) == length, f"{command}: the answer breaks off"
            frames.append((stream, content))
    finally:
        response.close()
    return Done(api.exec_inspect(begun)["ExitCode"], tuple(frames))
