"""Whether containers can run here; the sandbox needs them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]


def missing() -> str:
    """One line that says why no container engine can be used, empty when one answers.

    In a checkout `tools/engine.sh` gets one from Debian's packages where it may.
    """
    script = CHECKOUT / "tools" / "engine.sh"
    if script.exists():
        done = subprocess.run([script, "up"], stderr=subprocess.PIPE, text=True, check=False)  # noqa: S603
        return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["no container engine"])[-1]
    return _ping()


def _ping() -> str:
    if why := os.environ.get("SALTLICK_NO_ENGINE"):
        return f"no container engine: {why}"
    try:
        import docker

        docker.from_env(timeout=10).ping()
    except ImportError:
        return "no container engine: the docker SDK is not installed (pip install 'saltlick[sandbox]')"
    except docker.errors.DockerException as error:
        return f"no container engine: {str(error).splitlines()[0]}"
    return ""
