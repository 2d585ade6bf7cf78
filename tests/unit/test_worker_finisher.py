"""Recording outcomes: batches by arrival, patience with the database, one bad apple."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.worker import claimed, eventually, run_of
from tidemill.errors import DatabaseUnavailable
from tidemill.models import Finish, Lease
from tidemill.states import Outcome
from tidemill_worker.finisher import Finisher, Telling
from tidemill_worker.ledger import Ledger
from tidemill_worker.run import Run


class Flushes:
    """In the place of the lease store: keeps the batches, answers what the test says."""

    def __init__(self) -> None:
        self.batches: list[list[Finish]] = []
        self.errors: list[Exception] = []
        self.refused: set[object] = set()
        self.gate = asyncio.Event()
        self.gate.set()

    async def finish(self, finishes: Sequence[Finish]) -> set[Lease]:
        self.batches.append(list(finishes))
        await self.gate.wait()
        if self.errors:
            raise self.errors.pop(0)
        if any(finish.result in self.refused for finish in finishes):
            raise ValueError("must not contain the NUL character")
        return {finish.lease for finish in finishes}

    async def recorded(self, leases: Sequence[Lease], since: datetime) -> set[Lease]:
        del leases, since
        return set()


@pytest.fixture
def flushes() -> Flushes:
    return Flushes()


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def released() -> list[str]:
    return []


@pytest.fixture
def freed() -> list[str]:
    return []


@pytest.fixture
async def finisher(
    flushes: Flushes, ledger: Ledger, released: list[str], freed: list[str]
) -> AsyncIterator[Finisher]:
    """Queues have limits where their id is even."""
    telling = Telling(
        recorded=lambda: None,
        released=released.append,
        limited=lambda queue_id: queue_id % 2 == 0,
        freed=freed.append,
        failed=lambda: None,
    )
    made = Finisher(flushes, ledger, telling)
    async with made:
        yield made


def ended(
    ledger: Ledger,
    result: object = None,
    outcome: Outcome = Outcome.SUCCEEDED,
    **task: Any,
) -> tuple[Run, Finish]:
    run = run_of(claimed(created_at=datetime.now(UTC), **task))
    ledger.add([run])
    return run, Finish(lease=run.task.lease, outcome=outcome, result=result)


async def test_what_waits_when_a_flush_returns_goes_into_the_next(
    finisher: Finisher, flushes: Flushes, ledger: Ledger
) -> None:
    flushes.gate.clear()
    finisher.add(*ended(ledger))
    await eventually(lambda: len(flushes.batches) == 1)
    for _ in range(50):
        finisher.add(*ended(ledger))
    assert (len(finisher), len(ledger)) == (51, 51)  # nothing is let go before it is acknowledged
    flushes.gate.set()
    assert await finisher.flushed(60)
    assert [len(batch) for batch in flushes.batches] == [1, 50]
    assert (len(finisher), len(ledger)) == (0, 0)


async def test_an_outcome_is_sent_until_the_database_takes_it(
    finisher: Finisher, flushes: Flushes, ledger: Ledger
) -> None:
    flushes.errors = [DatabaseUnavailable("away"), DatabaseUnavailable("away")]
    finisher.add(*ended(ledger))
    assert await finisher.flushed(60)
    assert len(flushes.batches) == 3
    assert len(ledger) == 0


async def test_flushed_gives_up_after_its_time(
    finisher: Finisher, flushes: Flushes, ledger: Ledger
) -> None:
    flushes.gate.clear()
    finisher.add(*ended(ledger))
    assert not await finisher.flushed(0.01)


async def test_one_outcome_that_cannot_be_stored_fails_alone(
    finisher: Finisher, flushes: Flushes, ledger: Ledger
) -> None:
    flushes.gate.clear()
    finisher.add(*ended(ledger))
    await eventually(lambda: len(flushes.batches) == 1)
    flushes.refused = {"bad"}
    for n in range(8):
        finisher.add(*ended(ledger, result="bad" if n == 5 else n))
    flushes.gate.set()
    assert await finisher.flushed(60)
    last = {batch[0].lease: batch[0] for batch in flushes.batches if len(batch) == 1}
    failed = [finish for finish in last.values() if finish.outcome is Outcome.FAILED]
    assert len(failed) == 1
    assert failed[0].error is not None
    assert "NUL" in failed[0].error["message"]
    assert len(ledger) == 0


async def test_a_release_is_told_to_others(
    finisher: Finisher, ledger: Ledger, released: list[str]
) -> None:
    finisher.add(*ended(ledger, outcome=Outcome.RELEASED))
    finisher.add(*ended(ledger))
    assert await finisher.flushed(60)
    assert released == ["default"]


async def test_an_end_in_a_queue_with_limits_is_told_whatever_it_was(
    finisher: Finisher, ledger: Ledger, released: list[str], freed: list[str]
) -> None:
    finisher.add(*ended(ledger, queue_id=2, queue="limited"))
    finisher.add(*ended(ledger, queue_id=2, queue="limited"))
    finisher.add(*ended(ledger, queue_id=3, queue="open"))
    assert await finisher.flushed(60)
    assert (freed, released) == (["limited"], [])


def test_the_ledger_knows_the_shortest_lease_ever() -> None:
    ledger = Ledger()
    runs: list[Run] = [run_of(claimed(lease_seconds=seconds)) for seconds in (30.0, 5.0, 60.0)]
    ledger.add(runs)
    assert ledger.shortest_lease == 5.0
    ledger.drop(runs[:2])
    assert ledger.leases() == [runs[2].task.lease]
