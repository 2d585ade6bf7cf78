"""Write an image of one layer as a docker-archive, the form that `docker save` made common.

Such an archive is a tar of three things: the layer (itself a tar), a configuration that names
the layer's digest, and `manifest.json`, which names both and the image.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import TracebackType

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
PATH_VARIABLE = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Layer:
    """A layer being written to a file; everything in it belongs to root."""

    def __init__(self, path: Path) -> None:
        """Open the file for writing."""
        self._tar = tarfile.open(path, "w", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - see __exit__
        self._seen: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._tar.close()

    def _entry(self, name: str) -> tarfile.TarInfo | None:
        """Return a new entry for an absolute name after its folders, or None if it is in."""
        inside = name.strip("/")
        if inside in self._seen:
            return None
        parent = str(PurePosixPath(inside).parent)
        if parent != ".":
            self.folder(parent)
        self._seen.add(inside)
        return tarfile.TarInfo(inside)

    def folder(self, name: str, mode: int = 0o755) -> None:
        """Add a folder, and those above it."""
        if (entry := self._entry(name)) is not None:
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            self._tar.addfile(entry)

    def link(self, name: str, target: str) -> None:
        """Add a symbolic link."""
        if (entry := self._entry(name)) is not None:
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            self._tar.addfile(entry)

    def content(self, name: str, data: bytes, mode: int = 0o644) -> None:
        """Add a file with this content."""
        if (entry := self._entry(name)) is not None:
            entry.size, entry.mode = len(data), mode
            self._tar.addfile(entry, io.BytesIO(data))

    def file(self, name: str, source: Path) -> None:
        """Add a copy of a file, through links; it stays executable if it was."""
        if (entry := self._entry(name)) is not None:
            facts = source.stat()
            entry.size, entry.mtime = facts.st_size, int(facts.st_mtime)
            entry.mode = 0o755 if facts.st_mode & 0o100 else 0o644
            with source.open("rb") as content:
                self._tar.addfile(entry, content)


def write(archive: Path, name: str, layer: Path, settings: dict[str, object]) -> None:
    """Write the archive of an image.

    Args:
        archive: the file to write; it appears only when it is whole.
        name: the image's name with its tag.
        layer: the layer's tar file.
        settings: the part of the image's configuration that says how to run it.
    """
    with layer.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    config = _config(digest, settings)
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    layer_name = f"{digest}/layer.tar"
    manifest = [{"Config": config_name, "RepoTags": [name], "Layers": [layer_name]}]
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix=".new-") as folder:
        new = Path(folder) / archive.name
        with tarfile.open(new, "w") as tar:
            _add(tar, config_name, config)
            tar.add(layer, layer_name)
            _add(tar, "manifest.json", json.dumps(manifest).encode())
        new.replace(archive)


def _config(digest: str, settings: dict[str, object]) -> bytes:
    machine = platform.machine()
    config: dict[str, Any] = {
        "architecture": ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "config": {"Env": [PATH_VARIABLE], **settings},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        # One entry for each layer: buildah refuses to add layers to an image without it.
        "history": [{"created_by": "tidemill testbed"}],
    }
    return json.dumps(config, sort_keys=True).encode()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))
