"""This machine's Python as the content of an image: interpreter, library, pip, shared libraries."""

from __future__ import annotations

import re
import sys
import sysconfig
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from testbed import shell
from testbed.errors import PrerequisiteError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.images.archive import Layer

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
STEP = "base image"
# Parts of the standard library that no program needs, and a mark that forbids pip to install.
LEFT_OUT = {
    *("test", "tests", "__pycache__", "idlelib", "lib2to3", "turtledemo"),
    *("site-packages", "dist-packages", "EXTERNALLY-MANAGED"),
}
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
DEBIAN_WHEELS = Path("/usr/share/python-wheels")
# The installation's own `pip` names the path of an interpreter that the image has not.
PIP = b'#!/bin/sh\nexec python3 -m pip "$@"\n'


def prefix(base: str = sys.base_prefix) -> str:
    """Return where the Python goes in the image.

    A distribution's own Python stays in /usr: it looks for what users install in /usr/local.
    """
    return "/usr" if base == "/usr" else "/usr/local"


def add(layer: Layer) -> None:
    """Add everything to an image's layer.

    Raises:
        PrerequisiteError: this Python has no pip that could be copied.
    """
    base = {"base": sys.base_prefix, "platbase": sys.base_prefix}
    library = Path(sysconfig.get_path("stdlib", vars=base))
    packages = Path(sysconfig.get_path("purelib", vars=base)).name
    interpreter = Path(sys.base_prefix, "bin", f"python{VERSION}").resolve()
    layer.file(f"{prefix()}/bin/python{VERSION}", interpreter)
    for name in ("python3", "python"):
        layer.link(f"{prefix()}/bin/{name}", f"python{VERSION}")
    for file in _files(library):
        layer.file(f"{prefix()}/lib/python{VERSION}/{file.relative_to(library)}", file)
    wheel = pip_wheel(library)
    _add_pip(layer, wheel, f"/usr/local/lib/python{VERSION}/{packages}")
    if wheel.parent == DEBIAN_WHEELS:  # where that Python's `venv` looks, in the image too
        for file in DEBIAN_WHEELS.glob("*.whl"):
            layer.file(str(file), file)
    _add_libraries(layer, [interpreter, *library.glob("lib-dynload/*.so")])


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name in LEFT_OUT or path.name.startswith("config-") or path.suffix == ".a":
            continue
        if path.is_dir():
            yield from _files(path)
        elif path.is_file():
            yield path


def pip_wheel(library: Path) -> Path:
    """Return the wheel of pip that comes with a Python to set up virtual environments."""
    for folder in (library / "ensurepip" / "_bundled", DEBIAN_WHEELS):
        if wheels := sorted(folder.glob("pip-*.whl")):
            return wheels[-1]
    raise PrerequisiteError(
        f"{sys.executable} has no ensurepip, of which the base image's pip is made: "
        "install python3-venv, or run the test bed with another Python"
    )


def _add_pip(layer: Layer, wheel: Path, target: str) -> None:
    with zipfile.ZipFile(wheel) as content:
        for name in content.namelist():
            layer.content(f"{target}/{name}", content.read(name))
    for name in ("pip", "pip3"):
        layer.content(f"/usr/local/bin/{name}", PIP, mode=0o755)


def _add_libraries(layer: Layer, programs: list[Path]) -> None:
    """Add the shared libraries; those from odd places (Python's own) go beside the C library."""
    found = {Path(name) for program in programs for name in linked(_ldd(program))}
    main = next(path for path in found if path.name.startswith("libc.so"))
    extra = (main.parent / name for name in EXTRA_LIBRARIES)
    for path in sorted(found.union(p for p in extra if p.exists())):
        standard = path.parts[1].startswith("lib") or path.parts[1:3] == ("usr", "lib")
        layer.file(str(path if standard else main.parent / path.name), path)


def _ldd(program: Path) -> str:
    return shell.run(["ldd", str(program)], step=STEP)


def linked(output: str) -> set[str]:
    """Return the paths of libraries in the output of ldd."""
    return set(re.findall(r"(?:^|=> )\s*(/\S+) \(0x", output, re.MULTILINE))
