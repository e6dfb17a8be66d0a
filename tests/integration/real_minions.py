"""Real minions as processes of this machine, with real keys: honest ones, and those that are not who they say."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import rsa

BIN = Path(sys.executable).parent


@dataclass
class Minion:
    """One minion in a folder of its own. `start` makes a daemon, `knock` only offers the key."""

    id: str
    folder: Path
    master: dict[str, Any]
    environment: str = "test"
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        keys = self.folder / "pki"
        keys.mkdir(parents=True, exist_ok=True)
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        private = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.TraditionalOpenSSL, form.NoEncryption())
        public = key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
        (keys / "minion.pem").write_bytes(private)
        (keys / "minion.pem").chmod(0o400)
        (keys / "minion.pub").write_bytes(public)
        (self.folder / "minion").write_text(json.dumps(self._config()))

    def _config(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "root_dir": str(self.folder),
            "pki_dir": str(self.folder / "pki"),
            "user": "root" if os.geteuid() == 0 else os.environ.get("USER", "root"),
            "master": self.master["interface"],
            "master_port": self.master["ret_port"],
            "publish_port": self.master["publish_port"],
            "master_finger": self.master["finger"],
            "pillarenv": self.environment,
            "encryption_algorithm": "OAEP-SHA224",
            "signing_algorithm": "PKCS1v15-SHA224",
            "rejected_retry": True,
            "acceptance_wait_time": 1,
            "auth_timeout": 10,
            "auth_tries": 3,
            "autoload_dynamic_modules": False,
            "lazy_loader_strict_matching": True,
            "enable_fqdns_grains": False,
            "enable_gpu_grains": False,
            "log_level_logfile": "warning",
        }

    @property
    def finger(self) -> str:
        """As `salt-call --local key.finger` prints it."""
        body = "".join((self.folder / "pki/minion.pub").read_text().splitlines(keepends=True)[1:-1])
        digest = hashlib.sha256(body.encode()).hexdigest()
        return ":".join(digest[spot : spot + 2] for spot in range(0, len(digest), 2))

    @property
    def boot_log(self) -> str:
        """What its first boot would have said on the console."""
        said = f"minion fingerprint {self.finger} boot {self.master['nonce']}"
        return f"[ 1.0] kernel\r\nsaltlick: {said}\r\nsaltlick: minion started\r\n"

    def start(self) -> Minion:
        command = [str(BIN / "salt-minion"), "-c", str(self.folder)]
        with (self.folder / "output").open("ab") as output:
            self.processes.append(
                subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
            )
        return self

    def knock(self) -> Minion:
        """Offer the key and go on asking, without being a daemon anybody could command."""
        command = [str(BIN / "salt-call"), "-c", str(self.folder), "test.ping"]
        with (self.folder / "output").open("ab") as output:
            self.processes.append(
                subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
            )
        return self

    def kill(self) -> None:
        """Gone at once, with all it started."""
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
        self.processes.clear()

    def call(self, *arguments: str) -> Any:
        """`salt-call` as somebody who took over this server could run it."""
        command = [str(BIN / "salt-call"), "-c", str(self.folder), "--out=json", "--log-level=quiet", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=180)
        return json.loads(done.stdout)["local"]
