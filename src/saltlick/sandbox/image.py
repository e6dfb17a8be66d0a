"""The images instances and load balancers boot from: pulled and built once, found again by the hash of all that went in."""

from __future__ import annotations

import contextlib
import hashlib
import io
import platform
import re
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from pathlib import Path

import docker
import yaml
from docker.errors import APIError, BuildError, ImageNotFound

from saltlick import tree
from saltlick.errors import SaltlickError

BASE = "saltlick/debian:12"
SUITE = "bookworm"
MIRROR = "http://deb.debian.org/debian"
SALT_VERSION = "3008.0"
KEPT_IMAGES = 3
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
Report = Callable[[str], None]


def ensure(client: docker.DockerClient, report: Report, repository: Path | None = None) -> dict[str, str]:
    """Images by kind of machine (`instance`, `balancer`), built if they are not there. A line per step with its seconds.

    `repository` is the checkout whose bootstrap/install-salt.sh goes in; without one the wheel's own copy.
    """
    files = context(repository)
    tags = {
        "instance": f"saltlick/sandbox-debian-12:{digest(files, 'Dockerfile')}",
        "balancer": f"saltlick/sandbox-haproxy:{digest(files, 'Dockerfile.haproxy')}",
    }
    for kind, dockerfile in (("balancer", "Dockerfile.haproxy"), ("instance", "Dockerfile")):
        if not _there(client, tags[kind]):
            if not _there(client, BASE):
                with _Timed(report, "base system Debian 12"):
                    _base(client)
            with _Timed(report, f"image {tags[kind]}"):
                _build(client, files, dockerfile, tags[kind])
            _forget_old(client, tags[kind])
    return tags


def context(repository: Path | None) -> dict[str, bytes]:
    """Every file of the build, by its path in the build's context."""
    root = Path(__file__).parent / "image"
    files = {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}
    files["wheels.txt"] = "".join(f"{line}\n" for line in (*_wheels(), *_of_the_example(repository))).encode()
    files["install-salt.sh"] = _installer(repository).read_bytes()
    return {**files, **_certificates()}


def digest(files: Mapping[str, bytes], dockerfile: str) -> str:
    """The HAProxy image depends on two files only, and is not built again when another changes."""
    relevant = files if dockerfile == "Dockerfile" else {name: files[name] for name in (dockerfile, "sources.list")}
    total = hashlib.sha256(dockerfile.encode())
    for name, content in sorted(relevant.items()):
        total.update(f"{name}\0{len(content)}\0".encode() + content)
    return total.hexdigest()[:12]


def _wheels() -> Iterator[str]:
    """What instances install with pip, made ready as wheels: Salt, what this project needs on a master, ZEO and Patroni."""
    yield f"salt~={SALT_VERSION}"
    required = (r.replace(" ", "") for r in metadata.requires("saltlick") or () if "extra ==" not in r)
    yield from sorted(required)  # as setuptools writes them, with or without spaces, they are the same
    yield from ("setuptools<75.6", "wheel", "pip")
    for parameters in ("zeo/defaults.yaml", "postgresql/failover.yaml"):
        yield from yaml.safe_load((tree.folder("salt") / parameters).read_text())["pip"]


def _of_the_example(repository: Path | None) -> list[str]:
    """What the application installs that `up` publishes; nothing where there is no checkout to publish it from."""
    requirements = repository / "examples/app/requirements.txt" if repository else None
    return requirements.read_text().splitlines() if requirements and requirements.is_file() else []


def _installer(repository: Path | None) -> Path:
    """The checkout's own script, so that the image follows the branch one is on; else the installed package's."""
    mine = repository / "bootstrap/install-salt.sh" if repository else None
    return mine if mine and mine.is_file() else tree.folder("bootstrap") / "install-salt.sh"


def _certificates() -> dict[str, bytes]:
    """What this host trusts beyond Debian's own list: a proxy on the way out may sign with a certificate of its own."""
    known = {_bare(c) for path in Path("/usr/share/ca-certificates").rglob("*.crt") for c in _read(path)}
    bundle = next((Path(b) for b in _BUNDLES if Path(b).is_file()), None)
    extra = [c for c in _read(bundle) if _bare(c) not in known] if bundle and known else []
    certificates = {
        f"certificates/host-{hashlib.sha256(_bare(c).encode()).hexdigest()[:12]}.crt": f"{c}\n".encode() for c in extra
    }
    return {"certificates/README": b"Certificates this host trusts beyond Debian's own.\n", **certificates}


def _read(path: Path) -> list[str]:
    return _CERTIFICATE.findall(path.read_text(errors="replace"))


def _bare(certificate: str) -> str:
    return re.sub(r"\s", "", certificate)


def _there(client: docker.DockerClient, tag: str) -> bool:
    try:
        client.images.get(tag)
    except ImageNotFound:
        return False
    return True


def _forget_old(client: docker.DockerClient, tag: str) -> None:
    """Only the newest few are kept (another checkout may use one); those that containers run from are left alone."""
    mine = client.images.list(tag.split(":")[0])
    for image in sorted(mine, key=lambda image: str(image.attrs["Created"]), reverse=True)[KEPT_IMAGES:]:
        with contextlib.suppress(APIError):
            client.images.remove(image.tags[0])


def _base(client: docker.DockerClient) -> None:
    """Pulled where a registry answers, debootstrapped where only Debian's packages can be had."""
    try:
        pulled = client.images.pull("debian", tag="12")
        pulled.tag(BASE)
    except (APIError, ImageNotFound):
        _debootstrap(client)


def _debootstrap(client: docker.DockerClient) -> None:
    if not shutil.which("debootstrap"):
        raise SaltlickError(
            "No registry answers to `docker pull debian:12`, and debootstrap is missing: apt-get install debootstrap"
        )
    with tempfile.TemporaryDirectory(prefix="saltlick-debootstrap-") as folder:
        root = Path(folder) / "root"
        command = ["debootstrap", "--variant=minbase", SUITE, str(root), MIRROR]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            raise SaltlickError(f"{' '.join(command)} failed: {done.stdout[-800:]}{done.stderr[-800:]}")
        archive = Path(folder) / "root.tar"
        subprocess.run(["tar", "-C", str(root), "-cf", str(archive), "."], check=True)  # noqa: S603, S607
        client.api.import_image_from_file(str(archive), *BASE.split(":"))


def _build(client: docker.DockerClient, files: Mapping[str, bytes], dockerfile: str, tag: str) -> None:
    try:
        client.images.build(
            fileobj=_archive(files),
            custom_context=True,
            dockerfile=dockerfile,
            tag=tag,
            buildargs={"BASE": BASE},
            network_mode="host",  # docker0 has packets of 1500 bytes, which a host on a tunnel loses
            rm=True,
        )
    except BuildError as error:
        build_output = "".join(str(entry.get("stream") or entry.get("error") or "") for entry in error.build_log)
        raise SaltlickError(f"building {tag} failed: {error.msg}\n{build_output[-3000:]}") from error
    except APIError as error:
        raise SaltlickError(f"building {tag} failed: {error.explanation}") from error


def _archive(files: Mapping[str, bytes]) -> io.BytesIO:
    """The same bytes for the same files, so that Docker finds its layers again."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    buffer.seek(0)
    return buffer


class _Timed:
    """Says what is being done, and how long it took when it is done."""

    def __init__(self, report: Report, what: str) -> None:
        self._report, self._what = report, what

    def __enter__(self) -> None:
        self._started = time.monotonic()
        self._report(f"{self._what}: building on {platform.machine()} …")

    def __exit__(self, kind: object, *_rest: object) -> None:
        if kind is None:
            self._report(f"{self._what}: built in {time.monotonic() - self._started:.0f} s")


if __name__ == "__main__":  # python -m saltlick.sandbox.image: builds the images ahead of their first use
    for kind, name in ensure(docker.from_env(timeout=1800), print, Path(__file__).resolve().parents[3]).items():
        print(f"{kind}: {name}")  # noqa: T201
