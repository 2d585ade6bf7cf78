from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from testbed import processes
from testbed.errors import StepError
from testbed.paths import State
from testbed.processes import Identity, Place

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the test bed runs on Linux")

# A stat line whose program has blanks and brackets in its name.
STAT = "77 (a (b) c) S 1 77 77 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 1 0 4242 1000 10 18446744\n"


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    found = State(tmp_path)
    yield found
    processes.stop(found, processes.recorded(found))


def test_a_record_is_read_whatever_the_program_is_called() -> None:
    assert processes.parse_record(f"boot\n{STAT}") == Identity(77, 4242, "boot")


@pytest.mark.parametrize("text", ["", "boot\n", "boot\n77 (x) S 1", "boot\nx (y) S"])
def test_a_record_that_was_cut_off_is_none(text: str) -> None:
    assert processes.parse_record(text) is None


def test_a_started_process_is_recorded_logged_and_stopped(state: State) -> None:
    processes.spawn(state, "one", ["sh", "-c", "echo hello; exec sleep 60"], Place())

    found = processes.running(state, "one")
    assert found is not None
    assert found.pid == processes.recorded(state)["one"].pid
    processes.wait_until(
        lambda: state.log("one").read_text() == "hello\n",
        step="hello",
        seconds=60,
        state=state,
        names=["one"],
    )

    processes.stop(state, ["one"])

    assert not processes.is_running(found)
    assert processes.recorded(state) == {}


def test_stopping_leaves_a_later_process_with_the_same_id_alone(state: State) -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        line = Path(f"/proc/{other.pid}/stat").read_text()
        boot = processes.BOOT_ID.read_text()
        head, _, rest = line.rpartition(")")
        fields = rest.split()
        fields[19] = str(int(fields[19]) - 1)  # the recorded one began a tick earlier
        state.processes.mkdir()
        (state.processes / "old").write_text(f"{boot}{head}) {' '.join(fields)}\n")

        processes.stop(state, ["old"])

        assert other.poll() is None
        assert processes.recorded(state) == {}
        other.kill()


def test_a_process_that_ignores_sigterm_is_killed_after_the_grace(state: State) -> None:
    script = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True)"
    command = [sys.executable, "-c", f"{script}; time.sleep(60)"]
    processes.spawn(state, "stubborn", command, Place())
    processes.wait_until(
        lambda: state.log("stubborn").read_text() != "",
        step="start",
        seconds=60,
        state=state,
        names=["stubborn"],
    )
    found = processes.recorded(state)["stubborn"]

    processes.stop(state, ["stubborn"], grace_seconds=0.1)

    assert not processes.is_running(found)


def test_a_program_that_is_not_there_is_one_clear_error(state: State) -> None:
    processes.spawn(state, "none", ["/no/such/program"], Place())

    with pytest.raises(StepError, match="none ended"):
        processes.wait_until(lambda: False, step="none", seconds=60, state=state, names=["none"])


def test_a_wait_for_a_process_that_dies_ends_with_its_log(state: State) -> None:
    processes.spawn(state, "dying", ["sh", "-c", "echo no disk >&2; exit 3"], Place())

    with pytest.raises(StepError) as caught:
        processes.wait_until(lambda: False, step="dying", seconds=60, state=state, names=["dying"])

    assert "dying: dying ended" in str(caught.value)
    assert "no disk" in str(caught.value)


def test_a_wait_ends_when_its_time_is_over(state: State) -> None:
    processes.spawn(state, "slow", ["sleep", "60"], Place())

    with pytest.raises(StepError, match="not ready after 0 s"):
        processes.wait_until(lambda: False, step="slow", seconds=0, state=state, names=["slow"])


def test_a_process_is_in_its_cgroup_before_it_is_the_program(state: State, tmp_path: Path) -> None:
    procs = tmp_path / "cgroup.procs"

    processes.spawn(state, "inside", ["sleep", "60"], Place(cgroup=procs))

    processes.wait_until(
        lambda: procs.exists() and procs.read_text() != "",
        step="cgroup",
        seconds=60,
        state=state,
        names=["inside"],
    )
    assert int(procs.read_text()) == processes.recorded(state)["inside"].pid
