from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from testbed import addresses, health, prerequisites, volumes
from testbed.cluster import Cluster
from testbed.errors import StepError, last_lines
from testbed.health import Health
from testbed.paths import State
from testbed.up import Request

if TYPE_CHECKING:
    from pathlib import Path

NODE = Cluster("bed", control_plane_only=False, addresses=addresses.of_slot(0))
ALONE = replace(NODE, control_plane_only=True)


def whole(cluster: Cluster) -> Health:
    ids: dict[str, int | None] = {
        name: 100 + n for n, name in enumerate(cluster.expected_processes())
    }
    node = not cluster.control_plane_only
    return Health(cluster, ids, api=True, node=node, dns=node)


@pytest.mark.parametrize("cluster", [NODE, ALONE])
def test_a_cluster_with_everything_is_whole(cluster: Cluster) -> None:
    seen = whole(cluster)

    assert seen.whole
    assert seen.problems() == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"api": False}, "the API server does not answer"),
        ({"node": False}, "the node is not Ready"),
        ({"dns": False}, "DNS is not ready"),
    ],
)
def test_one_thing_missing_breaks_it_and_is_named(change: dict[str, bool], problem: str) -> None:
    seen = replace(whole(NODE), **change)  # type: ignore[arg-type] # all the fields are bool

    assert not seen.whole
    assert seen.problems() == [problem]


def test_a_process_that_ended_breaks_it_and_is_named() -> None:
    seen = whole(NODE)
    seen = replace(seen, processes={**seen.processes, "kubelet": None})

    assert not seen.whole
    assert seen.problems() == ["kubelet does not run"]


def test_a_forwarding_that_ended_is_named_but_the_cluster_is_whole() -> None:
    seen = whole(NODE)
    seen = replace(seen, processes={**seen.processes, "forward-8080": None})

    assert seen.whole
    assert seen.problems() == ["forward-8080 does not run"]


def test_there_is_nothing_to_look_at_without_a_cluster(tmp_path: Path) -> None:
    assert health.look(State(tmp_path)) is None


def test_up_asks_for_a_new_cluster_only_where_the_running_one_differs() -> None:
    assert Request(control_plane_only=False).fits(NODE)
    assert Request(control_plane_only=False, name="bed", hpa_sync_seconds=15).fits(NODE)
    assert not Request(control_plane_only=True).fits(NODE)
    assert not Request(control_plane_only=False, name="other").fits(NODE)
    assert not Request(control_plane_only=False, hpa_sync_seconds=2).fits(NODE)


def test_up_after_a_reboot_keeps_what_is_not_asked_for_anew() -> None:
    asked = Request(control_plane_only=False, hpa_sync_seconds=2).like(NODE)

    assert (asked.name, asked.hpa_sync_seconds) == ("bed", 2)


def test_only_our_released_volumes_are_recycled() -> None:
    def volume(name: str, phase: str) -> dict[str, Any]:
        return {"metadata": {"name": name}, "status": {"phase": phase}}

    listed = [
        volume("local-0", "Bound"),
        volume("local-1", "Released"),
        volume("local-2", "Available"),
        volume("theirs", "Released"),
        {"metadata": {"name": "local-3"}, "status": {}},
    ]

    assert volumes.released(listed) == ["local-1"]


def test_missing_packages_are_those_whose_programs_are_not_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(prerequisites, "CNI_FOLDERS", (tmp_path,))

    def which(program: str) -> str | None:
        return None if program in ("ctr", "ip") else f"/bin/{program}"

    missing = prerequisites.missing_packages(control_plane_only=False, which=which)

    assert missing == ["containerd", "containernetworking-plugins", "iproute2"]
    assert prerequisites.missing_packages(control_plane_only=True, which=which) == []


def test_a_failed_step_names_its_log_and_ends_with_its_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text("\n".join(["old"] * 50 + ["the reason", "", "x" * 1000]))

    lines = str(StepError("node", "kubelet ended", log)).splitlines()

    assert lines[0] == f"node: kubelet ended; log: {log}, which ends with:"
    assert lines[-2] == "    the reason"
    assert len(lines[-1]) < 410
    assert len(lines) <= 14


def test_a_log_that_is_not_there_has_no_lines(tmp_path: Path) -> None:
    assert last_lines(tmp_path / "none") == []
    assert str(StepError("s", "r", tmp_path / "none")).endswith("none (empty)")
