from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from testbed import addresses, mounts, teardown
from testbed import cluster as clusters
from testbed.cluster import Cluster
from testbed.errors import StepError
from testbed.paths import State

if TYPE_CHECKING:
    from pathlib import Path

TABLE = """\
22 1 254:0 / / rw - ext4 /dev/vda rw
40 22 0:4 net:[4026532] /s/namespace rw shared:9 - nsfs nsfs rw
41 22 0:5 / /s/with\\040blank rw - tmpfs tmpfs rw
42 22 0:5 / /sother rw - tmpfs tmpfs rw
"""


def keep(line: str) -> None:
    assert line


def test_what_starts_processes_is_stopped_before_what_it_starts() -> None:
    groups = teardown.order(["etcd", "kubelet", "containerd", "apiserver", "dns"])

    assert groups == [["kubelet", "containerd"], ["apiserver", "dns", "etcd"]]


def test_mounts_are_found_below_a_folder_and_not_beside_it(tmp_path: Path) -> None:
    found = mounts.below(tmp_path.__class__("/s"), TABLE)

    assert [path.as_posix() for path in found] == ["/s/namespace", "/s/with blank"]


def test_down_keeps_only_the_logs_and_the_lock(tmp_path: Path) -> None:
    state = State(tmp_path)
    for folder in (state.data / "etcd", state.pki, state.config, state.processes, state.logs):
        folder.mkdir(parents=True)
    state.lock.touch()
    state.kubeconfig.touch()
    clusters.save(Cluster("alone", control_plane_only=True, addresses=addresses.of_slot(0)), state)

    teardown.down(state, None, keep)
    teardown.down(state, None, keep)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", "logs"]


def test_a_control_plane_alone_never_touches_a_node_of_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touched: list[str] = []
    monkeypatch.setattr(teardown, "clear_node", lambda name, _state: touched.append(name))
    for control_plane_only in (True, False):
        state = State(tmp_path / str(control_plane_only))
        clusters.save(Cluster("same", control_plane_only, addresses.of_slot(0)), state)
        teardown.down(state, None, keep)

    assert touched == ["same"]


def test_nothing_is_deleted_below_a_mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = State(tmp_path)
    (state.data / "volumes").mkdir(parents=True)
    monkeypatch.setattr(mounts, "points", lambda _table=None: [state.data / "volumes"])

    with pytest.raises(StepError, match="still mounted"):
        teardown.clear_files(state)

    assert (state.data / "volumes").exists()
