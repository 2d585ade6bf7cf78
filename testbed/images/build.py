"""Build images with buildah from a Dockerfile, on the base image, and hand them to the node."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from testbed import shell, versions
from testbed.errors import PrerequisiteError, UsageError
from testbed.images import base

if TYPE_CHECKING:
    from collections.abc import Generator

    from testbed.paths import Cache
    from testbed.progress import Say


# A build of a changed source adds about ten layers, 300 MB; this is some 12 GB.
MOST_LAYERS = 400


@dataclass(frozen=True)
class Request:
    """What to build: `arguments` are the Dockerfile's ARGs as KEY=VALUE."""

    folder: Path
    name: str
    arguments: tuple[str, ...] = ()
    dockerfile: Path | None = None

    def __post_init__(self) -> None:
        if not self.folder.is_dir():
            raise UsageError(f"no such folder: {self.folder}")
        for argument in self.arguments:
            if "=" not in argument:
                raise UsageError(f"--build-arg must be KEY=VALUE: {argument}")


def build(request: Request, target: Path, cache: Cache, say: Say) -> None:
    """Build the image and write it to `target` as a docker-archive.

    Raises:
        PrerequisiteError: not root.
        StepError: a step of the Dockerfile failed; carries the log.
    """
    if os.geteuid() != 0:
        raise PrerequisiteError("builds need root (buildah with chroot isolation)")
    buildah = _Buildah(cache, say)
    with (
        _store(cache, say),
        tempfile.TemporaryDirectory(prefix="tidemill-buildah-") as run_folder,
    ):
        buildah.run_folder = Path(run_folder)
        buildah.load_base()
        say(f"build {request.name} from {request.folder}")
        buildah.run("build", *build_arguments(request))
        target.unlink(missing_ok=True)
        buildah.run(
            "save", "push", "--quiet", request.name, f"docker-archive:{target}:{request.name}"
        )


def build_arguments(request: Request) -> list[str]:
    """Return buildah's arguments for a request."""
    arguments = [
        "bud",
        "--layers",
        "--force-rm",
        "--pull-never",
        "--isolation=chroot",
        "--network=host",
    ]
    arguments += ["--build-arg", f"BASE_IMAGE={versions.BASE_IMAGE}"]
    for argument in request.arguments:
        arguments += ["--build-arg", argument]
    if request.dockerfile is not None:
        arguments += ["--file", str(request.dockerfile)]
    return [*arguments, "--tag", request.name, str(request.folder)]


@contextmanager
def _store(cache: Cache, say: Say) -> Generator[None]:
    """Hold the store; empty it first if it has grown too large and nobody else builds."""
    cache.root.mkdir(parents=True, exist_ok=True)
    with (cache.root / ".buildah.lock").open("w") as lock:
        if store_is_full(cache.buildah):
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                say("empty the store of built layers: it has grown large")
                shutil.rmtree(cache.buildah)
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield


def store_is_full(store: Path, most: int = MOST_LAYERS) -> bool:
    """Tell whether the store has too many layers."""
    overlay = store / "overlay"
    return overlay.is_dir() and sum(1 for _ in overlay.iterdir()) > most


class _Buildah:
    """buildah on a store of its own in the cache, so that unchanged layers are built once.

    Each run has its own mount namespace and its own run folder: whatever it mounts is gone
    with it, however it ends, and no record of a mount outlives the mount.
    """

    def __init__(self, cache: Cache, say: Say) -> None:
        self.cache = cache
        self.say = say
        self.run_folder = Path()

    def command(self, *arguments: str) -> list[str]:
        store = ["--root", str(self.cache.buildah), "--runroot", str(self.run_folder)]
        isolated = ["unshare", "--mount", "--propagation=private", "--"]
        return [*isolated, "buildah", "--storage-driver=overlay", *store, *arguments]

    def run(self, step: str, *arguments: str) -> None:
        log = self.cache.logs / f"image-{step}-{os.getpid()}.log"
        shell.run_logged(self.command(*arguments), step=f"image {step}", log=log, say=self.say)
        log.unlink()

    def load_base(self) -> None:
        """Bring the base image into the store, unless this very one is there.

        Builds by different Pythons keep different base images side by side; the common name
        is that of the last build's.
        """
        mark = f"localhost/base:{base.key()}"
        if shell.succeeds(self.command("tag", mark, versions.BASE_IMAGE)):
            return
        archive = base.ensure(self.cache, self.say)
        self.run("base", "pull", "--quiet", f"docker-archive:{archive}")
        self.run("base", "tag", versions.BASE_IMAGE, mark)
