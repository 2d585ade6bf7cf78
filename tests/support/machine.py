"""Programs that tests need from the machine: installed where we may, asked for where we may not."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tidemill_cli.local import installs

T = TypeVar("T")

_SEARCH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
_APT = ("apt-get", "-q", "-o", "DPkg::Lock::Timeout=240")


def pgbouncer() -> str:
    """Return the path of PgBouncer."""
    return _had("pgbouncer", lambda: shutil.which("pgbouncer", path=_SEARCH))


def postgres_with_tls() -> installs.Install:
    """Return a Postgres that was built with TLS; those of the wheels were not."""
    return _had("postgresql", lambda: next(filter(_speaks_tls, installs.installs()), None))


def _speaks_tls(install: installs.Install) -> bool:
    return b"libssl" in Path(install.program("postgres")).read_bytes()


def _had(package: str, find: Callable[[], T | None]) -> T:
    """Return what `find` finds; root on a Debian has the package installed first, and is told."""
    if (found := find()) is not None:
        return found
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"tests: installing {package} (apt-get)", file=sys.__stderr__)  # past the capture
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for step in (("update",), ("install", "-y", "--no-install-recommends", package)):
            subprocess.run((*_APT, *step), env=environment, check=True, capture_output=True)
        if (found := find()) is not None:
            return found
    raise AssertionError(f"{package} is needed (on Debian: apt-get install {package})")
