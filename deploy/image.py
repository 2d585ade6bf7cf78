"""The image's name: its tag is a digest of what it is built from.

The same sources give the same tag, so a second run builds nothing, and a changed source gives
pods a new image to roll to.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from deploy.shell import ROOT

NAME = "localhost/tidemill"


def tag(root: Path = ROOT) -> str:
    """Return the tag of an image of the sources under `root`."""
    digest = hashlib.sha256()
    for path in sorted(_sources(root)):
        digest.update(f"{path.relative_to(root)}\0{path.stat().st_mode & 0o111}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return f"dev-{digest.hexdigest()[:12]}"


def reference(root: Path = ROOT) -> str:
    """Return the image's whole name."""
    return f"{NAME}:{tag(root)}"


def _sources(root: Path) -> Iterator[Path]:
    yield root / "Dockerfile"
    for line in (root / ".dockerignore").read_text().splitlines():
        if line.startswith("!"):
            yield from _files(root / line[1:])


def _files(given: Path) -> Iterator[Path]:
    if given.is_file():
        yield given
    for path in given.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc":
            yield path
