"""What goes into the images, and when they are built anew."""

from __future__ import annotations

from pathlib import Path

from saltlick.sandbox import image

CHECKOUT = Path(__file__).resolve().parents[3]


def test_the_image_installs_salt_with_the_first_boots_own_script() -> None:
    files = image.context(CHECKOUT)
    assert files["install-salt.sh"] == (CHECKOUT / "bootstrap/install-salt.sh").read_bytes()
    assert b"salt~=3008.0\n" in files["wheels.txt"]
    assert b"boto3" in files["wheels.txt"]
    assert b"ZEO==" in files["wheels.txt"]
    assert (CHECKOUT / "examples/app/requirements.txt").read_bytes() in files["wheels.txt"]
    assert b"pytest" not in files["wheels.txt"]
    assert {"Dockerfile", "sources.list", "pip.conf", "files/root/.aws/config"} <= set(files)


def test_every_file_the_dockerfile_copies_is_in_the_context() -> None:
    files = image.context(CHECKOUT)
    for name in ("Dockerfile", "Dockerfile.haproxy"):
        lines = [line.split() for line in files[name].decode().splitlines() if line.startswith("COPY ")]
        for words in lines:
            if not words[1].startswith("--from"):
                for source in words[1:-1]:
                    assert any(file == source or file.startswith(source) for file in files), f"{name}: {source}"


def test_a_change_of_any_file_is_another_instance_image_but_not_another_balancer_image() -> None:
    files = image.context(CHECKOUT)
    changed = {**files, "install-salt.sh": b"echo"}
    assert image.digest(files, "Dockerfile") == image.digest(dict(reversed(files.items())), "Dockerfile")
    assert image.digest(files, "Dockerfile") != image.digest(changed, "Dockerfile")
    assert image.digest(files, "Dockerfile.haproxy") == image.digest(changed, "Dockerfile.haproxy")
