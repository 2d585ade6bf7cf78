"""The base image for builds: this machine's Python, its libraries and busybox, copied.

It stands in for an official Python image where no registry of images can be reached. It has
`python3`, `pip`, a shell and busybox's tools; it has no package manager and no compiler.
"""

from __future__ import annotations

import hashlib
import platform
import re
import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from testbed import shell, versions
from testbed.errors import PrerequisiteError
from testbed.images import archive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.paths import Cache
    from testbed.progress import Say

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
TARGET = f"/usr/local/lib/python{VERSION}"
CERTIFICATES = (
    Path("/etc/ssl/certs/ca-certificates.crt"),
    Path("/etc/pki/tls/certs/ca-bundle.crt"),
)
# Parts of the standard library that no program needs, and a mark that forbids pip to install.
LEFT_OUT = {
    *("test", "tests", "__pycache__", "idlelib", "lib2to3", "turtledemo"),
    *("site-packages", "dist-packages", "EXTERNALLY-MANAGED"),
}
# The C library has no UTF-8 locale built in; initdb and others want one.
LOCALE = Path("/usr/lib/locale/C.utf8")
# Found by name at run time (name service, C++ and older wheels), so `ldd` does not tell of them.
EXTRA_LIBRARIES = (
    "libnss_dns.so.2",
    "libnss_files.so.2",
    "libresolv.so.2",
    "libpthread.so.0",
    "libdl.so.2",
    "librt.so.1",
    "libutil.so.1",
    "libstdc++.so.6",
    "libgcc_s.so.1",
)
# The installation's own `pip` names the path of an interpreter that the image has not.
PIP = '#!/bin/sh\nexec python3 -m pip "$@"\n'
TEXTS = {
    "/etc/passwd": (
        "root:x:0:0:root:/root:/bin/sh\n"
        "postgres:x:999:999:postgres:/var/lib/postgresql:/bin/sh\n"
        "nobody:x:65534:65534:nobody:/:/bin/sh\n"
    ),
    "/etc/group": "root:x:0:\npostgres:x:999:\nnogroup:x:65534:\n",
    "/etc/nsswitch.conf": "hosts: files dns\n",
    "/etc/pip.conf": (
        "[global]\n"
        "cert = /etc/ssl/certs/ca-certificates.crt\n"
        "disable-pip-version-check = true\n"
        "root-user-action = ignore\n"
    ),
}


def ensure(cache: Cache, say: Say) -> Path:
    """Return the base image's archive, made if the cache has none of this Python."""
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
    """Return what tells one base image from another: this Python and this file."""
    facts = f"{sys.version} {Path(sys.executable).resolve()}".encode()
    return hashlib.sha256(facts + _source()).hexdigest()[:10]


def _source() -> bytes:
    return Path(__file__).read_bytes() + Path(archive.__file__).read_bytes()


def _fill(layer: archive.Layer) -> None:
    for name in ("/proc", "/sys", "/dev", "/root", "/usr/bin", "/usr/sbin", "/usr/local/bin"):
        layer.folder(name)
    for name in ("/tmp", "/var/tmp"):  # noqa: S108 - the image's own, not this machine's
        layer.folder(name, mode=0o1777)
    for name, text in TEXTS.items():
        layer.text(name, text)
    certificates = next((path for path in CERTIFICATES if path.exists()), None)
    if certificates is not None:
        layer.file("/etc/ssl/certs/ca-certificates.crt", certificates)
    for file in LOCALE.rglob("*"):
        if file.is_file():
            layer.file(str(file), file)
    _add_busybox(layer)
    _add_python(layer)


def _add_busybox(layer: archive.Layer) -> None:
    busybox = shutil.which("busybox")
    if busybox is None:
        raise PrerequisiteError("busybox is needed for the base image (busybox-static)")
    layer.file("/bin/busybox", Path(busybox))
    for applet in shell.run([busybox, "--list"], step="base image").split():
        layer.link(f"/bin/{applet}", "busybox")
    layer.link("/usr/bin/env", "/bin/busybox")


def _add_python(layer: archive.Layer) -> None:
    interpreter = Path(sys.base_prefix, "bin", f"python{VERSION}").resolve()
    layer.file(f"/usr/local/bin/python{VERSION}", interpreter)
    for name in ("python3", "python"):
        layer.link(f"/usr/local/bin/{name}", f"python{VERSION}")
    for name in ("pip", "pip3"):
        layer.text(f"/usr/local/bin/{name}", PIP, mode=0o755)
    library = Path(sysconfig.get_path("stdlib", vars=_base()))
    for file in _files(library):
        layer.file(f"{TARGET}/{file.relative_to(library)}", file)
    packages = Path(sysconfig.get_path("purelib", vars=_base()))
    for folder in [packages / "pip", *packages.glob("pip-*.dist-info")]:
        for file in folder.rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts:
                layer.file(f"{TARGET}/site-packages/{file.relative_to(packages)}", file)
    programs = [interpreter, *library.glob("lib-dynload/*.so")]
    _add_libraries(layer, programs)


def _base() -> dict[str, str]:
    """Return the prefix of the installation, also when this runs in a virtual environment."""
    return {"base": sys.base_prefix, "platbase": sys.base_prefix}


def _files(library: Path) -> Iterator[Path]:
    for path in library.iterdir():
        if path.name in LEFT_OUT or path.name.startswith("config-") or path.suffix == ".a":
            continue
        if path.is_dir():
            yield from _files(path)
        elif path.is_file():
            yield path


def _add_libraries(layer: archive.Layer, programs: list[Path]) -> None:
    """Add the shared libraries; those from odd places (Python's own) go beside the C library."""
    found = {Path(name) for program in programs for name in linked(_ldd(program))}
    main = next(path for path in found if path.name.startswith("libc.so"))
    extra = (main.parent / name for name in EXTRA_LIBRARIES)
    for path in sorted(found.union(p for p in extra if p.exists())):
        standard = path.parts[1].startswith("lib") or path.parts[1:3] == ("usr", "lib")
        layer.file(str(path if standard else main.parent / path.name), path)


def _ldd(program: Path) -> str:
    return shell.run(["ldd", str(program)], step="base image")


def linked(output: str) -> set[str]:
    """Return the paths of libraries in the output of ldd."""
    return set(re.findall(r"(?:^|=> )\s*(/\S+) \(0x", output, re.MULTILINE))
