"""The output of Salt's commands, in a job's log while they run. Sibling of `detached`."""

import os
import subprocess
import threading
import time
import types


def hearing():
    """The module subprocess for Salt's commands: their output is in the log while they run, and outlives a killed worker."""
    module = types.ModuleType("subprocess")
    module.__dict__.update(vars(subprocess))
    module.Popen = _Heard
    return module


class _Heard(subprocess.Popen):
    """A process whose output is also said aloud."""

    _listeners = None

    def communicate(self, input=None, timeout=None):  # noqa: A002 - the name is Popen's
        """As Popen's, with all output on our own standard output as it comes."""
        if input is not None or (self.stdout is None and self.stderr is None):
            return super().communicate(input, timeout)
        if self._listeners is None:
            self._listeners = [_Listener(stream) for stream in (self.stdout, self.stderr)]
        give_up = None if timeout is None else time.monotonic() + timeout
        for listener in self._listeners:
            listener.join(None if give_up is None else max(0, give_up - time.monotonic()))
            if listener.is_alive():
                raise subprocess.TimeoutExpired(self.args, timeout)
        self.wait(None if give_up is None else max(0, give_up - time.monotonic()))
        return tuple(listener.heard() for listener in self._listeners)


class _Listener(threading.Thread):
    """Reads one stream to its end, and repeats it."""

    def __init__(self, stream):
        super().__init__(daemon=True)
        self.stream, self.pieces = stream, []
        self.start()

    def run(self):
        while self.stream is not None and (piece := os.read(self.stream.fileno(), 65536)):
            self.pieces.append(piece)
            os.write(1, piece)

    def heard(self):
        if self.stream is None:
            return None
        whole = b"".join(self.pieces)
        encoding = getattr(self.stream, "encoding", None)
        return whole.decode(encoding, self.stream.errors).replace("\r\n", "\n") if encoding else whole
