from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from testbed import addresses, kind, node
from testbed import cluster as clusters
from testbed.cluster import Cluster
from testbed.paths import State

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> State:
    monkeypatch.setenv("TIDEMILL_TESTBED_STATE", str(tmp_path))
    return State(tmp_path)


@pytest.fixture
def up(state: State) -> State:
    clusters.save(Cluster("bed", control_plane_only=False, addresses=addresses.of_slot(0)), state)
    state.kubeconfig.write_text("the kubeconfig")
    return state


def test_there_are_no_clusters_before_up(state: State, capsys: pytest.CaptureFixture[str]) -> None:
    assert state.root.exists()
    assert kind.main(["get", "clusters"]) == 0
    assert capsys.readouterr().out == ""


def test_the_clusters_name_is_listed(up: State, capsys: pytest.CaptureFixture[str]) -> None:
    assert up.record.exists()
    assert kind.main(["get", "clusters"]) == 0
    assert capsys.readouterr().out == "bed\n"


def test_the_kubeconfig_is_printed_or_written(
    up: State, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert up.kubeconfig.exists()
    target = tmp_path / "elsewhere" / "config"

    assert kind.main(["get", "kubeconfig", "--name=bed"]) == 0
    assert kind.main(["export", "kubeconfig", f"--kubeconfig={target}"]) == 0

    assert capsys.readouterr().out == "the kubeconfig"
    assert target.read_text() == "the kubeconfig"


def test_another_clusters_name_is_refused(up: State, capsys: pytest.CaptureFixture[str]) -> None:
    assert up.record.exists()
    assert kind.main(["get", "kubeconfig", "--name", "other"]) == 3
    assert "no cluster 'other'" in capsys.readouterr().err


def test_deleting_a_cluster_that_is_not_ours_does_nothing(up: State) -> None:
    assert kind.main(["delete", "cluster", "--name", "other"]) == 0
    assert up.record.exists()


def test_an_image_must_be_on_the_node_already(
    up: State, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert up.record.exists()
    present = {"localhost/a:1", "docker.io/library/b:1"}
    monkeypatch.setattr(node, "image_names", lambda _state: present)

    assert kind.main(["load", "docker-image", "--name", "bed", "localhost/a:1", "b:1"]) == 0
    assert kind.main(["load", "docker-image", "c:1"]) == 2
    assert "no image c:1" in capsys.readouterr().err


def test_archives_are_imported_as_they_are(
    up: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert up.record.exists()
    imported: list[Path] = []
    monkeypatch.setattr(node, "import_image", lambda path, _state: imported.append(path))
    (tmp_path / "a.tar").touch()

    assert kind.main(["load", "image-archive", str(tmp_path / "a.tar"), "--name", "bed"]) == 0
    assert kind.main(["load", "image-archive", str(tmp_path / "none.tar")]) == 2

    assert imported == [tmp_path / "a.tar"]
