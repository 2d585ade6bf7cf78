"""The start/stop contract, once for all that follow it."""

import asyncio
import logging
from collections.abc import Callable

import pytest

from tidemill import service
from tidemill.errors import DatabaseUnavailable
from tidemill.service import Group, Loop, Service


class Counting(Loop):
    """A loop that counts its runs; `act` may raise or wait."""

    def __init__(self, act: Callable[[int], object] = lambda _: None, interval: float = 60) -> None:
        super().__init__("counting", interval)
        self.act = act
        self.runs = 0
        self.ran = asyncio.Event()

    async def run_once(self) -> int:
        self.runs += 1
        self.ran.set()
        done = self.act(self.runs)
        if asyncio.iscoroutine(done):
            done = await done
        return done if isinstance(done, int) else 0

    async def until(self, runs: int) -> None:
        async with asyncio.timeout(60):
            while self.runs < runs:
                self.ran.clear()
                await self.ran.wait()


class Part(Service):
    def __init__(self, name: str, told: list[str], *, broken: str = "") -> None:
        self.name, self.told, self.broken = name, told, broken

    async def start(self) -> None:
        if self.broken == "start":
            raise OSError(self.name)
        self.told.append(f"+{self.name}")

    async def stop(self) -> None:
        self.told.append(f"-{self.name}")
        if self.broken == "stop":
            raise OSError(self.name)


async def test_a_loop_runs_at_once_and_when_woken() -> None:
    async with Counting() as loop:
        await loop.until(1)
        loop.wake()
        await loop.until(2)
    assert loop.runs == 2


async def test_a_wake_during_a_run_is_not_lost() -> None:
    loop = Counting(lambda run: loop.wake() if run == 1 else None)
    async with loop:
        await loop.until(2)


async def test_work_done_asks_for_more_at_once() -> None:
    async with Counting(lambda run: 5 - run) as loop:
        await loop.until(5)
    assert loop.runs == 5


async def test_stop_is_harmless_before_start_twice_and_together() -> None:
    release = asyncio.Event()
    loop = Counting(lambda _: release.wait())
    await loop.stop()
    await loop.start()
    await loop.start()
    await loop.until(1)
    first, second = asyncio.create_task(loop.stop()), asyncio.create_task(loop.stop())
    await asyncio.sleep(0)
    assert not first.done()
    assert not second.done()
    release.set()
    await asyncio.gather(first, second)
    await loop.stop()
    assert loop.runs == 1


async def test_a_stopped_loop_starts_again() -> None:
    loop = Counting()
    for run in (1, 2):
        async with loop:
            await loop.until(run)


async def test_a_run_that_hangs_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = asyncio.wait

    async def soon(tasks: list[asyncio.Task[None]], **most: float) -> object:
        assert most == {"timeout": 5.0}
        return await plain(tasks, timeout=0)

    monkeypatch.setattr(asyncio, "wait", soon)
    loop = Counting(lambda _: asyncio.Event().wait())
    await loop.start()
    await loop.until(1)
    await loop.stop()


@pytest.mark.parametrize("error", [DatabaseUnavailable("away"), RuntimeError("a bug")])
async def test_a_loop_outlives_its_errors_and_says_so_once(
    error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(service, "_LONGEST_BACKOFF_SECONDS", 0.001)

    def act(run: int) -> None:
        if run < 4:
            raise error

    with caplog.at_level(logging.INFO):
        async with Counting(act) as loop:
            await loop.until(4)
            loop.wake()
            await loop.until(5)
    assert "works again after 3 failed runs" in caplog.text
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == (1 if isinstance(error, DatabaseUnavailable) else 3)


@pytest.mark.parametrize(("interval", "first"), [(0.5, 1.0), (10, 2.0), (600, 2.0)])
async def test_the_next_try_comes_soon_and_then_ever_later(interval: float, first: float) -> None:
    def fail(_: int) -> None:
        raise DatabaseUnavailable("away")

    loop = Counting(fail, interval)
    pauses = [await loop._guarded_run() for _ in range(8)]
    assert first * 0.75 <= pauses[0] <= first * 1.25
    assert 30 * 0.75 <= pauses[-1] <= 30 * 1.25
    loop.act = lambda _: None
    assert interval * 0.75 <= await loop._guarded_run() <= interval * 1.25


async def test_a_group_starts_in_order_and_stops_in_reverse() -> None:
    told: list[str] = []
    group = Group([Part("a", told), Part("b", told), Part("c", told)])
    async with group:
        assert told == ["+a", "+b", "+c"]
    await group.stop()
    assert told == ["+a", "+b", "+c", "-c", "-b", "-a"]


async def test_a_group_that_cannot_start_leaves_nothing_running() -> None:
    told: list[str] = []
    group = Group([Part("a", told), Part("b", told, broken="start"), Part("c", told)])
    with pytest.raises(OSError, match="b"):
        await group.start()
    assert told == ["+a", "-a"]


async def test_a_part_that_stops_badly_does_not_keep_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told: list[str] = []
    async with Group([Part("a", told), Part("b", told, broken="stop")]):
        pass
    assert told == ["+a", "+b", "-b", "-a"]
    assert "b did not stop cleanly" in caplog.text
