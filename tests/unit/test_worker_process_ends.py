"""How handler processes end: by themselves, by force, with everything that comes from them."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.handler_processes import Handlers, handlers, lives, pids, traced
from tests.support.worker import eventually
from tidemill.metrics import REGISTRY
from tidemill.sdk.context import StopReason
from tidemill_worker.conclude import Ended, ProcessDied, Reported
from tidemill_worker.processes import guard
from tidemill_worker.processes import pool as pool_module
from tidemill_worker.processes import process as process_module


@pytest.fixture(autouse=True)
def trace_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACE", str(tmp_path / "trace"))


@pytest.fixture
async def shop() -> AsyncIterator[Handlers]:
    async with handlers() as running:
        yield running


def died(ended: Ended) -> str:
    assert isinstance(ended.error, ProcessDied)
    return str(ended.error)


def counted(how: str) -> float:
    name = "tidemill_worker_process_deaths_total"
    return REGISTRY.get_sample_value(name, {"how": how}) or 0.0


async def test_a_process_that_dies_fails_its_task_only_and_says_how(shop: Handlers) -> None:
    how = {
        "exit": "ended with exit code 3",
        "kill": "killed by SIGKILL",
        "term": "killed by SIGTERM",
        "segfault": "killed by SIGSEGV",
    }
    before = [counted("signal"), counted("exit")]
    for each, words in how.items():
        assert died(await shop.run("die", how=each)) == words
    assert [counted("signal"), counted("exit")] == [before[0] + 3, before[1] + 1]
    assert (await shop.run("where")).error is None
    await eventually(lambda: len(shop.pool) == 1, 60)


async def test_a_process_that_sends_what_is_no_message_is_killed(shop: Handlers) -> None:
    assert "no message of ours" in died(await shop.run("die", how="babble"))
    assert (await shop.run("where")).error is None


async def test_a_process_that_holds_too_much_is_killed_and_says_how_much(shop: Handlers) -> None:
    words = died(await shop.run("eat", megabytes=250))
    held = int(words.removeprefix("held ").partition(" MB, more than max_memory_mb=150")[0])
    assert held > 150
    assert (await shop.run("eat", megabytes=10)).value == 10_000_000


async def test_what_a_handler_starts_counts_as_its_memory(shop: Handlers) -> None:
    assert "max_memory_mb=150" in died(await shop.run("eat", megabytes=250, in_a_child=True))


async def test_memory_is_bounded_for_tasks_that_say_so_only(shop: Handlers) -> None:
    assert (await shop.run("eat", megabytes=1)).error is None
    first = (await shop.run("hold", megabytes=250)).value  # no bound of its own
    assert (await shop.run("where")).value == first
    assert (await shop.run("eat", megabytes=1)).error is None  # in a process that is smaller
    assert (await shop.run("where")).value != first


async def test_a_function_that_looks_stops_by_itself_and_its_process_is_used_again(
    shop: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_module, "ASK_SECONDS", 60.0)
    error = (await shop.stopped("poll", StopReason.CANCELLED)).error
    assert isinstance(error, Reported)
    assert error.recorded["type"] == "Stopped"
    assert (await shop.run("where")).value == pids()[0]


async def test_a_function_that_does_not_look_is_interrupted(
    shop: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_module, "TERM_SECONDS", 60.0)
    error = (await shop.stopped("sleep", StopReason.TIMEOUT, seconds=60)).error
    assert isinstance(error, Reported)
    assert error.recorded["message"] == "the task must stop: timeout"
    assert traced()[-1] == "cleaned up"
    assert (await shop.run("where")).value != pids()[0]  # a process once forced is not used again
    await eventually(lambda: not lives(pids()[0]), 60)


async def test_a_coroutine_is_cancelled_and_its_process_used_again(
    shop: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_module, "ASK_SECONDS", 60.0)
    error = (await shop.stopped("sleep_async", StopReason.DRAINING, seconds=60)).error
    assert isinstance(error, Reported)
    assert error.recorded["type"] == "CancelledError"
    assert traced()[-1] == "cleaned up"
    assert (await shop.run("where")).value == pids()[0]


async def test_a_handler_that_refuses_is_killed_with_all_that_it_started(shop: Handlers) -> None:
    run, running = shop.begin("hang")
    await eventually(lambda: len(pids()) == 3, seconds=60)
    run.stop(StopReason.LEASE_LOST)
    assert died(await running) == "killed by SIGKILL"
    assert [each for each in pids() if lives(each)] == []


async def test_a_process_stopped_by_a_signal_is_killed_all_the_same(shop: Handlers) -> None:
    run, running = shop.begin("sleep", seconds=60)
    await eventually(lambda: bool(pids()), seconds=60)
    os.kill(pids()[0], 19)
    run.stop(StopReason.TIMEOUT)
    assert died(await running) == "killed by SIGKILL"


async def test_closing_kills_what_still_runs(shop: Handlers) -> None:
    _, running = shop.begin("hang")
    await eventually(lambda: len(pids()) == 3, seconds=60)
    await shop.pool.close()
    assert died(await running) == "killed by SIGKILL"
    assert [each for each in pids() if lives(each)] == []


async def test_a_slot_that_is_cut_off_leaves_no_process_behind(shop: Handlers) -> None:
    run, running = shop.begin("sleep", seconds=60)
    await eventually(lambda: bool(pids()), seconds=60)
    assert run.stop_reason is None
    running.cancel()
    assert died(await running) == "killed by SIGKILL"
    assert not lives(pids()[0])


async def test_a_task_stopped_while_its_process_starts_has_not_run(shop: Handlers) -> None:
    first_run, first = shop.begin("sleep", seconds=60)  # in the process that waits
    second_run, second = shop.begin("sleep", seconds=60)  # needs a new one
    await asyncio.sleep(0)
    second_run.stop(StopReason.DRAINING)
    assert isinstance((await second).error, asyncio.CancelledError)
    await eventually(lambda: bool(pids()), seconds=60)
    first_run.stop(StopReason.DRAINING)
    await first
    assert len(pids()) == 1


async def test_a_process_that_cannot_understand_its_worker_ends(
    shop: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half_a_frame(*_: object) -> dict[str, str]:
        return {"is": "task"}

    with monkeypatch.context() as broken:
        broken.setattr(pool_module, "frame_of", half_a_frame)
        assert died(await shop.run("where")) == "ended with exit code 1"
    assert (await shop.run("where")).error is None


def test_a_guard_whose_worker_was_killed_at_once_ends_quietly() -> None:
    ended = subprocess.run(
        [sys.executable, "-P", guard.__file__],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
