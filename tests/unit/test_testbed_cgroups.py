from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from testbed import cgroups

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def v1(tmp_path: Path) -> Path:
    """A machine with one tree a controller, one of them under two names."""
    for tree in ("pids", "memory", "cpu,cpuacct", "cpuset"):
        (tmp_path / tree).mkdir()
        (tmp_path / tree / "cgroup.procs").touch()
    (tmp_path / "cpuset" / "cpuset.cpus").write_text("0-1\n")
    (tmp_path / "cpuset" / "cpuset.mems").write_text("0\n")
    (tmp_path / "cpu").symlink_to("cpu,cpuacct")
    return tmp_path


@pytest.fixture
def v2(tmp_path: Path) -> Path:
    """A machine with one tree; the cluster's own cgroup is there, as the kernel fills it."""
    own = tmp_path / "tidemill-x"
    own.mkdir()
    for folder in (tmp_path, own):
        (folder / "cgroup.controllers").write_text("cpuset cpu io memory pids rdma\n")
        (folder / "cgroup.subtree_control").touch()
        (folder / "cgroup.procs").touch()
    return tmp_path


def test_on_v1_the_cgroup_is_made_in_every_tree_once(v1: Path) -> None:
    cgroups.create("x", v1)

    made = sorted(folder.parent.name for folder in cgroups.folders("x", v1))
    assert made == ["cpu,cpuacct", "cpuset", "memory", "pids"]
    assert (v1 / "cpuset" / "tidemill-x" / "cpuset.cpus").read_text() == "0-1\n"
    assert cgroups.system("x", v1).parent.is_dir()
    assert cgroups.problem(v1) is None


def test_on_v2_every_wanted_controller_is_handed_down(v2: Path) -> None:
    cgroups.create("x", v2)

    for folder in (v2, v2 / "tidemill-x"):  # a plain file keeps the last write only
        assert (folder / "cgroup.subtree_control").read_text() == "+pids"
    assert cgroups.folders("x", v2) == [v2 / "tidemill-x"]
    assert cgroups.system("x", v2) == v2 / "tidemill-x" / "system" / "cgroup.procs"
    assert cgroups.problem(v2) is None


def test_processes_are_found_at_every_depth_and_counted_once(v1: Path) -> None:
    cgroups.create("x", v1)
    for tree, text in (("pids", "11\n12\n"), ("memory", "12\n")):
        deep = v1 / tree / "tidemill-x" / "kubepods" / "pod1"
        deep.mkdir(parents=True)
        (deep / "cgroup.procs").write_text(text)
    (v1 / "pids" / "tidemill-other").mkdir()
    (v1 / "pids" / "tidemill-other" / "cgroup.procs").write_text("99\n")

    assert cgroups.processes("x", v1) == {11, 12}
    assert cgroups.processes("absent", v1) == set()


def test_a_container_that_holds_its_processes_in_the_root_is_told_so(v2: Path) -> None:
    (v2 / "cgroup.type").write_text("domain\n")
    assert cgroups.problem(v2) is None

    (v2 / "cgroup.procs").write_text("1\n")

    assert "inside a container" in (cgroups.problem(v2) or "")


def test_v2_without_memory_and_a_machine_without_cgroups_are_told_so(
    v2: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (v2 / "cgroup.controllers").write_text("pids\n")

    assert "memory controller" in (cgroups.problem(v2) or "")
    assert "neither" in (cgroups.problem(tmp_path_factory.mktemp("none")) or "")
