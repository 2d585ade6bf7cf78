"""The image of every pod's first container: one static program and nothing else."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from testbed import binaries, versions
from testbed.images import archive

if TYPE_CHECKING:
    from testbed.paths import Cache
    from testbed.progress import Say


def ensure(cache: Cache, say: Say) -> Path:
    """Return the image's archive, made if it is not in the cache."""
    program = binaries.ensure(binaries.PAUSE, cache, say)
    target = cache.images / f"{binaries.PAUSE.key}.tar"
    if target.exists():
        return target
    with tempfile.TemporaryDirectory() as folder:
        layer = Path(folder) / "layer.tar"
        with archive.Layer(layer) as content:
            content.file("/pause", program)
        settings: dict[str, object] = {"Entrypoint": ["/pause"], "User": "65535:65535"}
        archive.write(target, versions.PAUSE_IMAGE, layer, settings)
    return target
