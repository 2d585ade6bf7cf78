from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from testbed import addresses
from testbed import cluster as clusters
from testbed.cluster import Cluster
from testbed.errors import BedError, NotUpError, UsageError
from testbed.paths import Cache, State, complete_path

if TYPE_CHECKING:
    from pathlib import Path


def make(*, name: str = "tidemill", control_plane_only: bool = False) -> Cluster:
    return Cluster(name, control_plane_only, addresses.of_slot(0), hpa_sync_seconds=3)


def test_a_saved_cluster_is_read_back_whole(tmp_path: Path) -> None:
    state = State(tmp_path / "new")

    clusters.save(make(), state)

    assert clusters.load(state) == make()
    assert [file.name for file in state.root.iterdir()] == ["cluster.json"]


def test_without_a_record_there_is_no_cluster(tmp_path: Path) -> None:
    assert clusters.load(State(tmp_path)) is None
    with pytest.raises(NotUpError, match="up` first"):
        clusters.need(State(tmp_path))


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"addresses": {}}', '{"addresses": 1}'])
def test_a_record_that_cannot_be_read_is_one_clear_error(tmp_path: Path, text: str) -> None:
    state = State(tmp_path)
    state.record.write_text(text)

    with pytest.raises(BedError, match="cannot read"):
        clusters.load(state)


@pytest.mark.parametrize("name", ["", "Upper", "1st", "under_score", "longer-than-ten", "a b"])
def test_names_that_are_no_interface_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="--name must be"):
        make(name=name)


def test_the_longest_interface_name_fits_the_kernel() -> None:
    assert len(f"{make(name='abcdefghij').name}-host") <= 15


def test_a_control_plane_alone_expects_no_node_processes() -> None:
    alone = make(control_plane_only=True).expected_processes()
    whole = make().expected_processes()

    assert alone == ["etcd", "apiserver", "controllers", "scheduler"]
    assert set(whole) > set(alone)
    assert "kubelet" in whole


def test_folders_follow_the_xdg_variables_and_ignore_relative_ones() -> None:
    assert Cache.of({"HOME": "/h"}).root.as_posix() == "/h/.cache/tidemill"
    assert Cache.of({"HOME": "/h", "XDG_CACHE_HOME": "/c"}).root.as_posix() == "/c/tidemill"
    assert Cache.of({"HOME": "/h", "XDG_CACHE_HOME": "c"}).root.as_posix() == "/h/.cache/tidemill"
    assert State.of(None, {"HOME": "/h"}).root.as_posix() == "/h/.local/state/tidemill/testbed"


def test_the_state_option_wins_over_the_variable_over_the_default() -> None:
    environment = {"HOME": "/h", "TIDEMILL_TESTBED_STATE": "/v"}

    assert State.of("/o", environment).root.as_posix() == "/o"
    assert State.of(None, environment).root.as_posix() == "/v"


def test_a_state_folder_too_deep_for_sockets_is_refused() -> None:
    with pytest.raises(UsageError, match="at most 80"):
        State.of("/" + "x" * 80, {})


def test_the_path_gets_the_folders_of_system_programs_at_its_end_once() -> None:
    environment = {"PATH": "/mine:/usr/sbin"}

    complete_path(environment)

    assert environment["PATH"] == "/mine:/usr/sbin:/usr/local/sbin:/sbin:/usr/local/go/bin"
