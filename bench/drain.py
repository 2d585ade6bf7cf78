"""Draining a full queue: claim every task and record its end."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bench import noop, pgbench, scripts
from bench.arguments import LEASE_SECONDS
from bench.case import BenchError, Case
from bench.measure import Sample
from bench.scripts import QUEUE
from bench.target import Target
from bench.workers import APART, APP, working
from tidemill.models import ClaimedTask, Finish, WorkerInfo
from tidemill.states import Outcome
from tidemill.store import Store
from tidemill.store.claimer import Claimer

MOST_SECONDS = 60.0


class LimitDrain(Case):
    """The limit: our claim and finish, driven by pgbench."""

    def __init__(self, batch: int, connections: int) -> None:
        """Claim `batch` tasks a statement on so many connections."""
        self.name = f"SQL, {connections} x {batch}"
        self.meaning = (
            f"claim.sql and finish.sql by pgbench, {batch} tasks, {connections} connections"
        )
        self._batch, self._connections = batch, connections

    async def run(self, target: Target, tasks: int) -> Sample:
        """Drain with pgbench."""
        tasks = whole(tasks, self._batch * self._connections)
        await target.fill(tasks)
        claims = await claims_for(target, self._connections)
        script = scripts.drain_script(claims, self._batch)
        async with target.counted(tasks) as sample:
            await pgbench.run(
                target,
                sample,
                script,
                connections=self._connections,
                transactions=tasks // self._batch,
            )
        await check_drained(target, tasks)
        return sample


class StoreDrain(Case):
    """The store alone, in one process: the next claim overlaps the recording of the last."""

    def __init__(self, batch: int) -> None:
        """Claim `batch` tasks at a time."""
        self.name = f"store, {batch} at a time"
        self.meaning = "Claimer and LeaseStore.finish in one process, two connections"
        self._batch = batch

    async def run(self, target: Target, tasks: int) -> Sample:
        """Drain with a claimer."""
        await target.fill(tasks)
        async with target.counted(tasks) as sample, target.client() as db:
            with target.timed(sample):
                await _drain(Store.of(db), self._batch, tasks)
        await check_drained(target, tasks)
        return sample


@dataclass(frozen=True, slots=True)
class Mode:
    """Where the handler that does nothing runs. `share`: of the tasks, for a slow one."""

    name: str
    kind: str
    app: str = APP
    share: float = 1.0


COROUTINE = Mode("", noop.TYPE)
THREAD = Mode(", threads", noop.THREAD)
PROCESS = Mode(", isolated", noop.PROCESS, APART, share=0.1)


class WorkerDrain(Case):
    """Real worker processes with a handler that does nothing."""

    def __init__(self, processes: int, mode: Mode = COROUTINE) -> None:
        """Start so many processes."""
        noun = "process" if processes == 1 else "processes"
        self.name = f"worker, {processes} {noun}{mode.name}"
        self.meaning = f"`tidemill worker` with default settings, {self.name}"
        self.share = mode.share
        self._processes, self._mode = processes, mode

    async def run(self, target: Target, tasks: int) -> Sample:
        """Start the workers on a paused queue, let it go, and wait until it is empty."""
        await target.fill(tasks, self._mode.kind)
        await target.pause(paused=True)
        started = working(target, self._processes, self._mode.app)
        async with target.counted(tasks) as sample, started as pids:
            tokens = await target.tokens()
            await target.pause(paused=False)
            await until(lambda: _claimed(target, tokens), 0.001)
            with target.timed(sample, pids):  # from the first claim on: how soon is the latency's
                await until(target.drained, 0.01)
        await check_drained(target, tasks)
        return sample


def limits(batches: Sequence[int], connections: Sequence[int]) -> list[Case]:
    """Return the settings of which the best is the limit."""
    return [LimitDrain(batch, many) for many in connections for batch in batches]


def cases() -> list[Case]:
    """Return Tidemill's ways of draining."""
    workers = [WorkerDrain(1), WorkerDrain(1, THREAD), WorkerDrain(1, PROCESS), WorkerDrain(2)]
    return [StoreDrain(1000), *workers]


def whole(tasks: int, step: int) -> int:
    """Return `tasks` rounded down to a multiple of `step`, at least one."""
    return max(step, tasks - tasks % step)


async def check_drained(target: Target, tasks: int) -> None:
    """Raise BenchError unless each task has ended once, in success."""
    ended, attempts = await target.ended()
    if not (ended == attempts == tasks and await target.drained()):
        raise BenchError(f"{tasks} tasks must end once; {ended} did, in {attempts} attempts")


async def claims_for(target: Target, connections: int, floor: int = 0) -> scripts.Claims:
    """Register a worker for each connection of a script that claims from place `floor` on."""
    store = Store.of(target.db)
    ids = [(await store.workers.register(info(n))).id for n in range(connections)]
    if ids != list(range(ids[0], ids[0] + connections)):
        raise BenchError("worker ids are not consecutive: somebody else uses this database")
    return scripts.Claims(await target.queue_id(), ids[0], floor)


async def _claimed(target: Target, tokens: int) -> bool:
    return await target.tokens() > tokens


async def until(check: Callable[[], Awaitable[bool]], pause: float) -> None:
    """Return once `check` says so, looking every `pause` seconds. Raises BenchError."""
    deadline = time.monotonic() + MOST_SECONDS
    while not await check():
        if time.monotonic() > deadline:
            raise BenchError(f"the queue was not drained within {MOST_SECONDS:g} s")
        await asyncio.sleep(pause)


async def _drain(store: Store, batch: int, tasks: int) -> None:
    worker = await store.workers.register(info(0))
    claimer = Claimer(store, worker, queues=[QUEUE], lease_seconds=LEASE_SECONDS)
    recording: asyncio.Task[Any] | None = None
    done = 0
    while done < tasks:
        claimed = await claimer.claim(batch)
        if recording is not None:
            await recording
        recording = asyncio.create_task(finish(store, claimed))
        done += len(claimed)
    if recording is not None:
        await recording


async def finish(store: Store, claimed: Sequence[ClaimedTask]) -> None:
    """Record the success of these."""
    done = Outcome.SUCCEEDED
    ends = [Finish(lease=task.lease, outcome=done, run_seconds=0.001) for task in claimed]
    await store.leases.finish(ends)


def info(number: int) -> WorkerInfo:
    """Return what a worker of the benchmark's says of itself."""
    return WorkerInfo(
        name=f"bench-{number}",
        slots=1000,
        queues=(QUEUE,),
        version="0",
        hostname="bench",
        pid=number,
    )
