"""How many tasks of a type run at once: the rule of its lane, and the slots that obey it."""

import asyncio
import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.worker import Bench, claimed, eventually, run_of
from tidemill import App
from tidemill.states import Outcome
from tidemill_worker.lanes import LONGEST_SECONDS, MOST_HERE, SHORTEST_SECONDS, Lane, Lanes
from tidemill_worker.run import Run

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("claim"), st.integers(1, 60)),
        st.tuples(st.just("end"), st.floats(0, 100)),
        st.tuples(st.just("skip"), st.floats(0, 1)),
        st.tuples(st.just("later"), st.floats(0, 20)),
    ),
    max_size=40,
)


class Books:
    """Lanes on a clock of the test's own, and where each run is by what they said."""

    def __init__(self, limit: int) -> None:
        app = App()

        @app.task(concurrency=limit)
        async def task() -> None: ...

        self.limit = limit
        self.now = time.monotonic()
        self.running: list[Run] = []
        self.aside: list[tuple[Run, float]] = []
        self.claimed: list[Run] = []
        self.gone: list[Run] = []
        self.lanes = Lanes(app.tasks, lambda run, delay: self.aside.append((run, delay)))

    @property
    def waiting(self) -> list[Run]:
        away = {*self.running, *self.gone, *(run for run, _ in self.aside)}
        return [run for run in self.claimed if run not in away]

    def claim(self, count: float) -> None:
        runs = [run_of(claimed()) for _ in range(int(count))]
        self.claimed += runs
        self.start(self.lanes.admitted(runs, self.now))

    def start(self, runs: list[Run]) -> None:
        for run in runs:
            run.started_at = self.now
        self.running += runs

    def end(self, seconds: float) -> None:
        if self.running:
            run = self.running.pop(0)
            run.started_at = time.monotonic() - seconds
            self.gone.append(run)
            following = self.lanes.ended(run)
            self.start([] if following is None else [following])

    def skip(self, share: float) -> None:
        if waiting := self.waiting:
            run = waiting[int(share * (len(waiting) - 1))]
            assert self.lanes.skip(run)
            self.gone.append(run)

    def later(self, seconds: float) -> None:
        self.now += seconds
        self.lanes.set_aside_overdue(self.now)


@given(limit=st.integers(1, 20), steps=STEPS)
@settings(deadline=None)
def test_a_lane_never_runs_more_than_its_limit_and_never_less_than_it_could(
    limit: int, steps: list[tuple[str, float]]
) -> None:
    books = Books(limit)
    for act, value in steps:
        getattr(books, act)(value)
        assert len(books.running) <= limit
        assert len(books.waiting) == books.lanes.waiting <= MOST_HERE
        assert not books.waiting or len(books.running) == limit
        assert all(SHORTEST_SECONDS <= delay <= LONGEST_SECONDS for _, delay in books.aside)
    ended = [*books.running, *books.waiting, *books.gone, *(run for run, _ in books.aside)]
    assert Counter(map(id, ended)) == Counter(map(id, books.claimed))


class Timed(Run):
    """A run that takes a second, whatever the machine does meanwhile."""

    def seconds(self) -> float:
        return 1.0


def test_tasks_set_aside_come_back_no_faster_than_they_can_run() -> None:
    lane, now = Lane(2), time.monotonic()
    run = Timed(claimed(), now, now + 30)
    run.start(now)
    lane.ended(run)
    delays = [lane.delay(now) for _ in range(100)]  # 50 s of work: two at a time, 1 s each
    assert delays[-1] > 20.0
    for n, delay in enumerate(delays):
        assert max(2.0, n / 2) / 2.1 <= delay <= max(2.0, n / 2 + 2)


def test_a_run_that_takes_longer_than_any_before_is_reckoned_with() -> None:
    lane, now = Lane(1), time.monotonic()
    assert lane.room_here(now)
    run = run_of(claimed())
    run.started_at = now - 30.0
    lane.running.add(run)
    assert not lane.room_here(now)
    assert lane.delay(now) >= 15.0


async def test_a_type_s_concurrency_is_kept_while_others_use_the_other_slots() -> None:
    app, go_on = App(), asyncio.Event()
    running: Counter[str] = Counter()
    most: Counter[str] = Counter()

    async def run(kind: str) -> None:
        running[kind] += 1
        most[kind] = max(most[kind], running[kind])
        await go_on.wait()
        running[kind] -= 1

    @app.task(concurrency=2)
    async def few() -> None:
        await run("few")

    @app.task
    async def many() -> None:
        await run("many")

    bench = Bench(app, concurrency=5)
    bench.slots.offer([run_of(claimed(kind)) for kind in ["few"] * 6 + ["many"] * 6])
    await eventually(lambda: running == {"few": 2, "many": 3})
    assert (bench.slots.waiting, bench.slots.waiting_in_lanes) == (3, 4)
    go_on.set()
    await bench.slots.idle()
    assert most["few"] == 2
    assert most["many"] <= 5
    assert [finish.outcome for finish in bench.finishes] == [Outcome.SUCCEEDED] * 12


@pytest.mark.parametrize("how", ["lost", "cancelled"])
async def test_a_task_that_waits_for_its_type_s_turn_can_be_taken_away(how: str) -> None:
    app, go_on = App(), asyncio.Event()

    @app.task(concurrency=1)
    async def task() -> None:
        await go_on.wait()

    bench = Bench(app, concurrency=4)
    first, second, third = (run_of(claimed()) for _ in range(3))
    bench.slots.offer([first, second, third])
    getattr(bench.slots, how)(second)
    assert bench.slots.waiting_in_lanes == 1
    getattr(bench.slots, how)(first)  # its slot has not begun it: the next takes its place
    await eventually(lambda: third.runner is not None)
    go_on.set()
    await bench.slots.idle()
    assert bench.finishes[-1].outcome is Outcome.SUCCEEDED
    assert len(bench.lost) + len(bench.finishes) == 3


async def test_a_drain_gives_back_what_waits_for_its_type_s_turn() -> None:
    app, go_on = App(), asyncio.Event()

    @app.task(concurrency=1)
    async def task() -> None:
        await go_on.wait()

    bench = Bench(app, concurrency=4)
    runs = [run_of(claimed()) for _ in range(5)]
    bench.slots.offer(runs)
    await eventually(lambda: runs[0].runner is not None)
    assert bench.slots.refuse() == 4
    bench.slots.offer([run_of(claimed())])
    assert [finish.outcome for finish in bench.finishes] == [Outcome.RELEASED] * 5
    go_on.set()
    await bench.slots.idle()
    assert bench.finishes[-1].outcome is Outcome.SUCCEEDED


async def test_a_slow_type_s_excess_goes_back_uncharged() -> None:
    app, go_on = App(), asyncio.Event()

    @app.task(concurrency=1)
    async def task() -> None:
        await go_on.wait()

    bench = Bench(app, concurrency=4)
    bench.slots.offer([run_of(claimed()) for _ in range(100)])
    here = bench.slots.waiting_in_lanes
    assert 0 < here < 99
    snoozed = list(bench.finishes)
    assert {finish.outcome for finish in snoozed} == {Outcome.SNOOZED}
    assert len(snoozed) == 99 - here
    assert all(1 <= (finish.delay_seconds or 0) <= 60 for finish in snoozed)
    assert bench.slots.finished == 0  # no work: the prefetch is not reckoned by them
    assert bench.slots.seconds_aside(time.monotonic()) > 1
    go_on.set()
    await bench.slots.idle()
    assert bench.slots.finished == 1 + here
