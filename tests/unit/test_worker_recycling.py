"""When a worker process starts itself anew."""

import asyncio

import pytest

from tidemill.settings import Settings
from tidemill_worker import recycling
from tidemill_worker.recycling import SPREAD, Limits


def test_without_limits_there_is_no_reason() -> None:
    assert Limits().exceeded(10**9, 10**6) is None


def test_the_reason_names_the_limit() -> None:
    limits = Limits(tasks=100, memory_mb=500)
    assert limits.exceeded(99, 500) is None
    assert limits.exceeded(100, 0) == "100 tasks done, limit 100"
    assert limits.exceeded(0, 501) == "501 MB of memory, limit 500 MB"


def test_processes_that_begin_together_have_limits_of_their_own_below_those_set() -> None:
    settings = Settings(max_tasks=100_000, max_memory_mb=1_000_000)
    made = [Limits.of(settings) for _ in range(50)]
    assert len({each.tasks for each in made}) > 10
    for each in made:
        assert 100_000 * (1 - SPREAD) <= each.tasks <= 100_000
        assert 1_000_000 * (1 - SPREAD) <= each.memory_mb <= 1_000_000


def test_a_limit_of_one_task_is_one_task() -> None:
    assert Limits.of(Settings(max_tasks=1)).tasks == 1


async def test_the_limit_is_noticed_when_tasks_have_ended() -> None:
    done, moved = [0], asyncio.Event()
    waiting = asyncio.create_task(Limits(tasks=3).reached(lambda: done[0], moved))
    for count in (1, 2, 3):
        await asyncio.sleep(0)
        assert not waiting.done()
        done[0] = count
        moved.set()
    assert await asyncio.wait_for(waiting, 60) == "3 tasks done, limit 3"


async def test_memory_is_looked_at_also_while_no_task_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    readings = iter([100.0, 100.0, 700.0])
    monkeypatch.setattr(recycling, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(recycling, "memory_mb", lambda: next(readings))
    reason = await asyncio.wait_for(Limits(memory_mb=600).reached(lambda: 0, asyncio.Event()), 60)
    assert reason == "700 MB of memory, limit 600 MB"


def test_memory_is_read_in_megabytes() -> None:
    before = recycling.memory_mb()
    held = b"x" * 200_000_000
    assert 150 < recycling.memory_mb() - before < 400
    assert len(held) == 200_000_000
