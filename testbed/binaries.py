"""Build the cluster's programs from Go modules, once for each version and source."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from testbed import shell, versions
from testbed.errors import PrerequisiteError
from testbed.paths import SOURCE

if TYPE_CHECKING:
    from collections.abc import Generator

    from testbed.paths import Cache
    from testbed.progress import Say


@dataclass(frozen=True)
class Program:
    """One thing to build: a module of this folder, or a published one (`package`)."""

    name: str
    version: str
    package: str = ""
    ldflags: str = ""
    links: tuple[str, ...] = ()
    expect: str = "about a minute"

    @property
    def source(self) -> Path:
        return SOURCE / {"coredns": "dns"}.get(self.name, self.name)

    @property
    def key(self) -> str:
        """Name and version, and for a module of this folder a digest of its source."""
        if self.package:
            return f"{self.name}-{self.version}"
        return f"{self.name}-{self.version}-{_digest(self.source)}"

    def folder(self, cache: Cache) -> Path:
        return cache.binaries / self.key

    def path(self, cache: Cache) -> Path:
        return self.folder(cache) / self.name


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:10]


def _version_flags(version: str) -> str:
    """Return linker flags; without them helm and kubectl see no valid server version."""
    package = "k8s.io/component-base/version"
    major, minor = version.removeprefix("v").split(".")[:2]
    facts = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    return " ".join(f"-X {package}.{name}={value}" for name, value in facts.items())


KUBE = Program(
    "kube",
    versions.KUBERNETES,
    ldflags=_version_flags(versions.KUBERNETES),
    links=("kubectl",),
    expect="about 5 minutes on 2 cores",
)
COREDNS = Program("coredns", versions.COREDNS)
PAUSE = Program("pause", "1", expect="seconds")
HELM = Program("helm", versions.HELM, package="helm.sh/helm/v4/cmd/helm", expect="2 minutes")
HELM3 = Program("helm", versions.HELM3, package="helm.sh/helm/v3/cmd/helm", expect="2 minutes")

# What `which` and `prerequisites` know; kubectl is kube, called by another name.
PROGRAMS = {
    "kube": KUBE,
    "kubectl": KUBE,
    "coredns": COREDNS,
    "pause": PAUSE,
    "helm": HELM,
    "helm3": HELM3,
}


def ensure(program: Program, cache: Cache, say: Say) -> Path:
    """Return the program's path in the cache, after building it if it is not there.

    Raises:
        PrerequisiteError: it has to be built and there is no Go.
        StepError: the build failed.
    """
    path = program.path(cache)
    if path.exists():
        return path
    if shutil.which("go") is None:
        raise PrerequisiteError(
            f"Go is needed to build {program.name} {program.version}: install Go 1.26 or newer"
        )
    with _only_one(cache.binaries / f".{program.key}.lock"):
        if not path.exists():
            say(f"build {program.name} {program.version} ({program.expect}, once)")
            _build(program, cache, say)
            say(f"built {path}")
    return path


def ensure_kubectl(cache: Cache, say: Say) -> Path:
    """Return the path of a kubectl of the cluster's own version."""
    return ensure(KUBE, cache, say).parent / "kubectl"


@contextmanager
def _only_one(lock: Path) -> Generator[None]:
    """Hold a lock file, so that of two commands at once one builds and the other waits."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(program: Program, cache: Cache, say: Say) -> None:
    """Build into a folder beside the final one and rename it: a killed build leaves no half."""
    for stale in cache.binaries.glob(f".{program.key}-*"):  # of a killed build: we hold the lock
        shutil.rmtree(stale, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=cache.binaries, prefix=f".{program.key}-") as temporary:
        folder = Path(temporary) / "new"
        folder.mkdir()
        shell.run_logged(
            _command(program, folder),
            step=f"build {program.name}",
            log=cache.logs / f"build-{program.key}.log",
            say=say,
            cwd=None if program.package else program.source,
            env={**os.environ, "CGO_ENABLED": "0", "GOBIN": str(folder)},
        )
        for link in program.links:
            (folder / link).symlink_to(program.name)
        folder.rename(program.folder(cache))


def _command(program: Program, folder: Path) -> list[str]:
    flags = ["-buildvcs=false", "-trimpath", "-ldflags", f"-s -w {program.ldflags}".strip()]
    if program.package:
        return ["go", "install", *flags, f"{program.package}@{program.version}"]
    return ["go", "build", *flags, "-o", str(folder / program.name), "."]
