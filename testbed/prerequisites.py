"""What a machine must have: system programs, root, cgroups; and how to get what is missing."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from testbed import cgroups, shell
from testbed.binaries import PROGRAMS
from testbed.errors import PrerequisiteError

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed.paths import Cache, State
    from testbed.progress import Say

CNI_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
APT = ("apt-get", "-q", "-o", "DPkg::Lock::Timeout=240")

# Debian package -> programs that show that it is there (on other systems, however it got there).
CONTROL_PLANE_PACKAGES = {"openssl": ("openssl",)}
NODE_PACKAGES = {
    **CONTROL_PLANE_PACKAGES,
    "containerd": ("containerd", "ctr"),
    "runc": ("runc",),
    "iptables": ("iptables",),
    "conntrack": ("conntrack",),
    "iproute2": ("ip",),
    "util-linux": ("nsenter", "unshare"),
    "buildah": ("buildah",),
    "socat": ("socat",),
    "busybox-static": ("busybox",),
}


@dataclass(frozen=True)
class Check:
    """One requirement: whether it is met, and what to do when it is not."""

    name: str
    met: bool
    advice: str = ""


def cni_folder() -> Path | None:
    """Return the folder of the CNI plugins, or None when they are not installed."""
    return next((folder for folder in CNI_FOLDERS if (folder / "bridge").exists()), None)


def missing_packages(
    *, control_plane_only: bool, which: Callable[[str], str | None] = shutil.which
) -> list[str]:
    """Return the Debian packages whose programs are not on this machine."""
    packages = CONTROL_PLANE_PACKAGES if control_plane_only else NODE_PACKAGES
    missing = [name for name, programs in packages.items() if not all(map(which, programs))]
    if not control_plane_only and cni_folder() is None:
        missing.append("containernetworking-plugins")
    return sorted(missing)


def checks(cache: Cache, *, control_plane_only: bool) -> list[Check]:
    """Check everything that `up` needs, changing nothing."""
    missing = missing_packages(control_plane_only=control_plane_only)
    needed = ("kube",) if control_plane_only else ("kube", "coredns", "pause")
    built = all(PROGRAMS[name].path(cache).exists() for name in needed)
    found = [
        Check("linux", Path("/proc/self/stat").exists(), "the test bed runs on Linux only"),
        Check("packages", not missing, f"apt-get install {' '.join(missing)}"),
        Check("go", built or shutil.which("go") is not None, "install Go 1.26 or newer"),
    ]
    if not control_plane_only:
        found.append(Check("root", os.geteuid() == 0, "run as root, or use --control-plane-only"))
        problem = cgroups.problem()
        found.append(Check("cgroups", problem is None, problem or ""))
    return found


def ensure(cache: Cache, state: State, say: Say, *, control_plane_only: bool) -> None:
    """Install what is missing where that is possible, and check the rest.

    Raises:
        PrerequisiteError: something is missing that cannot be installed here.
        StepError: the installation failed.
    """
    missing = missing_packages(control_plane_only=control_plane_only)
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        say(f"install Debian packages: {' '.join(missing)}")
        _install(missing, state, say)
    unmet = [c for c in checks(cache, control_plane_only=control_plane_only) if not c.met]
    if unmet:
        raise PrerequisiteError("; ".join(f"{c.name}: {c.advice}" for c in unmet))


def _install(packages: list[str], state: State, say: Say) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    # Old package lists name files that are gone from the mirrors; a new machine may have none.
    for step, arguments in (
        ("update package lists", ["update"]),
        ("install packages", ["install", "-y", "--no-install-recommends", *packages]),
    ):
        shell.run_logged(
            [*APT, *arguments], step=step, log=state.log("apt"), say=say, env=environment
        )
