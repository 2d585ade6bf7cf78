"""The cluster's own cgroup, on cgroup v1 and v2: every process of the cluster is inside it.

The kubelet gets it as its `cgroupRoot` and puts `kubepods` into it; the components and what
they start (containerd's shims outlive containerd) are in `system`. With v1 every mounted
controller has a tree of its own, and so has the cgroup; with v2 there is one tree.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from testbed.errors import StepError
from testbed.killing import KILL_SECONDS, kill_all

ROOT = Path("/sys/fs/cgroup")
# What the kubelet insists on in its root, when the kernel has it.
WANTED = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids")


def unified(root: Path = ROOT) -> bool:
    """Tell whether the machine has cgroup v2 only."""
    return (root / "cgroup.controllers").exists()


def problem(root: Path = ROOT) -> str | None:
    """Return why a node cannot run here, or None."""
    if unified(root):
        if "memory" not in (root / "cgroup.controllers").read_text().split():
            return "cgroup v2 without the memory controller: this container was given none"
        # A root that has a type is not the machine's root but a container's.
        if (root / "cgroup.type").exists() and (root / "cgroup.procs").read_text().strip():
            return (
                "cgroup v2 inside a container whose processes sit in its root cgroup: "
                "move them to a child cgroup first"
            )
        return None
    if not (root / "pids").is_dir() or not (root / "memory").is_dir():
        return f"neither cgroup v2 nor the v1 controllers are mounted on {root}"
    return None


def path(name: str) -> str:
    """Return the cgroup's path as the kubelet takes it."""
    return f"/tidemill-{name}"


def folders(name: str, root: Path = ROOT) -> list[Path]:
    """Return the cgroup's folders that exist: one for each tree."""
    trees = [root] if unified(root) else [p for p in root.glob("*") if not p.is_symlink()]
    return [tree / path(name)[1:] for tree in trees if (tree / path(name)[1:]).is_dir()]


def system(name: str, root: Path = ROOT) -> Path:
    """Return the file to which a component writes its id to be inside."""
    tree = root if unified(root) else root / "pids"
    return tree / path(name)[1:] / "system" / "cgroup.procs"


def create(name: str, root: Path = ROOT) -> None:
    """Make the cgroup in every tree, with all that the kubelet asks of its root."""
    if unified(root):
        own = root / path(name)[1:]
        _delegate(root)
        own.mkdir(exist_ok=True)
        _delegate(own)
        system(name, root).parent.mkdir(exist_ok=True)
        return
    for tree in sorted(root.glob("*")):
        if tree.is_symlink() or not (tree / "cgroup.procs").exists():
            continue
        own = tree / path(name)[1:]
        own.mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):  # empty in a new v1 cpuset
            if (tree / setting).exists():
                (own / setting).write_text((tree / setting).read_text())
    system(name, root).parent.mkdir(exist_ok=True)


def _delegate(folder: Path) -> None:
    """Let the children of a v2 cgroup have every controller that it has itself."""
    offered = (folder / "cgroup.controllers").read_text().split()
    for controller in (name for name in WANTED if name in offered):
        try:
            (folder / "cgroup.subtree_control").write_text(f"+{controller}")
        except OSError as error:
            reason = f"cannot enable {controller} in {folder}: {error.strerror}"
            raise StepError("cgroups", reason) from error


def processes(name: str, root: Path = ROOT) -> set[int]:
    """Return the ids of all processes in the cgroup and below it."""
    found: set[int] = set()
    for folder in folders(name, root):
        for file in folder.rglob("cgroup.procs"):
            try:
                found.update(int(line) for line in file.read_text().split())
            except OSError:
                continue  # the cgroup went away, or is threaded and below one that is listed
    return found


def kill(name: str) -> None:
    """Kill what is inside until nothing is.

    Raises:
        StepError: processes were left after 90 s.
    """
    kill_all(lambda: processes(name), "stop processes")


def remove(name: str) -> None:
    """Remove the cgroup, children first; it must be empty of processes.

    Raises:
        StepError: a cgroup is still in use after 90 s.
    """
    end = time.monotonic() + KILL_SECONDS
    while left := _remove_once(name):
        if time.monotonic() > end:
            raise StepError("remove cgroups", f"{left[0]} stays in use")
        time.sleep(0.1)


def _remove_once(name: str) -> list[Path]:
    for top in folders(name):
        below = [Path(folder) for folder, _, _ in os.walk(top, topdown=False)]
        for folder in below:
            try:
                folder.rmdir()
            except OSError:
                continue  # the kernel frees a cgroup some time after its last process
    return folders(name)
