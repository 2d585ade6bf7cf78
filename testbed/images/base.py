"""The base image for builds: this machine's Python, its libraries and busybox, copied.

It stands in for an official Python image where no registry of images can be reached. It has
`python3`, `pip`, a shell and busybox's tools; it has no package manager and no compiler.
"""

from __future__ import annotations

import hashlib
import platform
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from testbed import shell, versions
from testbed.errors import PrerequisiteError
from testbed.images import archive, python

if TYPE_CHECKING:
    from testbed.paths import Cache
    from testbed.progress import Say

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
CERTIFICATES = (Path(BUNDLE), Path("/etc/pki/tls/certs/ca-bundle.crt"))
# The C library has no UTF-8 locale built in; initdb and others want one.
LOCALE = Path("/usr/lib/locale/C.utf8")
TEXTS = {
    "/etc/passwd": (
        "root:x:0:0:root:/root:/bin/sh\n"
        "postgres:x:999:999:postgres:/var/lib/postgresql:/bin/sh\n"
        "nobody:x:65534:65534:nobody:/:/bin/sh\n"
    ),
    "/etc/group": "root:x:0:\npostgres:x:999:\nnogroup:x:65534:\n",
    "/etc/nsswitch.conf": "hosts: files dns\n",
    "/etc/pip.conf": (
        f"[global]\ncert = {BUNDLE}\ndisable-pip-version-check = true\nroot-user-action = ignore\n"
    ),
}


def ensure(cache: Cache, say: Say) -> Path:
    """Return the base image's archive, made if the cache has none of this Python.

    Raises:
        PrerequisiteError: busybox is missing, or this Python has no pip to copy.
    """
    target = cache.images / f"base-{key()}.tar"
    if not target.exists():
        say(f"make the base image from Python {platform.python_version()} of this machine")
        with tempfile.TemporaryDirectory() as folder:
            layer = Path(folder) / "layer.tar"
            with archive.Layer(layer) as content:
                _fill(content)
            archive.write(target, versions.BASE_IMAGE, layer, {"Cmd": ["/bin/sh"]})
        for old in cache.images.glob("base-*.tar"):  # 80 MB each
            if old != target:
                old.unlink(missing_ok=True)
    return target


def key() -> str:
    """Return what tells one base image from another: this Python and how it is made."""
    digest = hashlib.sha256(f"{sys.version} {sys.base_prefix}".encode())
    for module in (__file__, archive.__file__, python.__file__):
        digest.update(Path(module).read_bytes())
    return digest.hexdigest()[:10]


def _fill(layer: archive.Layer) -> None:
    for name in ("/proc", "/sys", "/dev", "/root", "/usr/bin", "/usr/sbin", "/usr/local/bin"):
        layer.folder(name)
    for name in ("/tmp", "/var/tmp"):  # noqa: S108 - the image's own, not this machine's
        layer.folder(name, mode=0o1777)
    for name, text in TEXTS.items():
        layer.content(name, text.encode())
    certificates = next((path for path in CERTIFICATES if path.exists()), None)
    if certificates is not None:
        layer.file(BUNDLE, certificates)
    for file in LOCALE.rglob("*"):
        if file.is_file():
            layer.file(str(file), file)
    _add_busybox(layer)
    python.add(layer)


def _add_busybox(layer: archive.Layer) -> None:
    busybox = shutil.which("busybox")
    if busybox is None:
        raise PrerequisiteError("busybox is needed for the base image (busybox-static)")
    layer.file("/bin/busybox", Path(busybox))
    for applet in shell.run([busybox, "--list"], step=python.STEP).split():
        layer.link(f"/bin/{applet}", "busybox")
    layer.link("/usr/bin/env", "/bin/busybox")
