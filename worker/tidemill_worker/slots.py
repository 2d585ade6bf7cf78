"""Runs at most `concurrency` tasks at once, in the order they were claimed."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping

from tidemill.models import Finish
from tidemill.sdk.context import StopReason
from tidemill_worker import metrics
from tidemill_worker.conclude import Ended, conclude, fail, release, snooze
from tidemill_worker.executor import Definition, Executor, Pending, Surroundings, Unknown
from tidemill_worker.lanes import Lanes
from tidemill_worker.run import Run
from tidemill_worker.watch import Watch

TURN_SECONDS = 0.01
"""A slot whose handlers never wait lets the rest of the loop run this often."""

CLOSE_SECONDS = 1.0
"""How long the end waits for handlers that were cancelled once more."""

log = logging.getLogger("tidemill.worker")

Record = Callable[[Run, Finish], None]
Lose = Callable[[Run], None]


class Slots:
    """A slot is an asyncio task that runs waiting tasks one after the other, while there are any.

    `record` is called, once for each run, with its end; `lose` with a run whose lease is lost.
    `unknown` is asked for the end of a task that has no handler in `definitions`.
    """

    def __init__(
        self,
        definitions: Mapping[str, Definition],
        *,
        concurrency: int,
        record: Record,
        lose: Lose,
        unknown: Unknown,
        surroundings: Surroundings | None = None,
    ) -> None:
        """Start no slot yet."""
        self._concurrency = concurrency
        self._record, self._lose = record, lose
        self._waiting: deque[Run] = deque()
        self._slots: set[asyncio.Task[None]] = set()
        self._watch = Watch(self._abandon)
        self._executor = Executor(definitions, self._watch, unknown, surroundings or Surroundings())
        self._lanes = Lanes(definitions, self._set_aside)
        self._refusing = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._busy_seconds = 0.0
        self._busy_since = 0.0
        self.finished = 0
        """How many tasks have ended so far"""

    @property
    def in_use(self) -> int:
        """How many slots run a task (or are about to)."""
        return len(self._slots)

    @property
    def waiting(self) -> int:
        """How many tasks wait for a slot."""
        return len(self._waiting)

    @property
    def waiting_in_lanes(self) -> int:
        """How many tasks wait until fewer of their type run."""
        return self._lanes.waiting

    @property
    def stuck(self) -> int:
        """How many slots are held by handlers whose attempt is over: they would not stop."""
        return sum(run.concluded for run in self._watch.runs)

    @property
    def usable(self) -> int:
        """How many slots there are without the stuck ones."""
        return self._concurrency - self.stuck

    def waited_seconds(self, now: float) -> float:
        """Return how long the first waiting task has waited."""
        return now - self._waiting[0].claimed_at if self._waiting else 0.0

    def busy_seconds(self, now: float) -> float:
        """Return for how long any slot has been in use, at `now` (monotonic)."""
        return self._busy_seconds + (0.0 if self._idle.is_set() else now - self._busy_since)

    def seconds_left(self, now: float) -> float:
        """Return how long until every handler has ended or run out of time, at the latest."""
        ends = (run.timeout_at for run in self._watch.runs if not run.concluded)
        return max(0.0, max(ends, default=now) - now)

    def seconds_aside(self, now: float) -> float:
        """Return in how many seconds the tasks set aside for their type should be back."""
        return self._lanes.seconds_aside(now)

    def offer(self, runs: Iterable[Run]) -> None:
        """Run these when slots are free."""
        if self._lanes and not self._refusing:
            runs = self._lanes.admitted(runs, time.monotonic())
        self._waiting.extend(runs)
        if self._refusing:
            self.give_back()
        self._use_slots()

    def _use_slots(self) -> None:
        for _ in range(min(len(self._waiting), self._concurrency - len(self._slots))):
            slot = asyncio.create_task(self._slot(), name="tidemill-slot")
            self._slots.add(slot)
            slot.add_done_callback(self._ended)
            if self._idle.is_set():
                self._idle.clear()
                self._busy_since = time.monotonic()

    def give_back(self, keep: int = 0) -> int:
        """Release the tasks that wait for a slot, but for the first `keep`; return how many."""
        count = 0
        while len(self._waiting) > keep:
            run = self._waiting.pop()
            self._conclude(run, release(run.task))
            self._leave_lane(run)
            count += 1
        return count

    def tidy(self) -> None:
        """Set aside the tasks whose turn has not come for longer than was thought."""
        if self._lanes:
            self._lanes.set_aside_overdue(time.monotonic())

    def refuse(self) -> int:
        """Start nothing more: release what waits, and all that is offered from now on."""
        self._refusing = True
        self._waiting.extend(self._lanes.cleared())
        return self.give_back()

    def lost(self, run: Run) -> None:
        """Learn that the lease of `run` is lost: it must not start, or must stop."""
        if not run.concluded:
            self._skip(run)
            run.stop(StopReason.LEASE_LOST)
            self._conclude(run, None)

    def cancelled(self, run: Run) -> None:
        """Learn that somebody cancelled the task: it must not start, or must stop."""
        if run.concluded:
            return
        run.stop(StopReason.CANCELLED)
        if self._skip(run):
            never_ran = Ended(error=asyncio.CancelledError())
            self._conclude(
                run, conclude(run.task, never_ran, reason=StopReason.CANCELLED, seconds=0.0)
            )

    def stop_running(self, reason: StopReason) -> None:
        """Tell every running handler to stop."""
        for run in self._watch.runs:
            run.stop(reason)

    async def idle(self) -> None:
        """Wait until no slot is in use."""
        await self._idle.wait()

    async def close(self) -> None:
        """Cut off the handlers that still run: their attempts have been recorded.

        One that ignores even this is left behind.
        """
        self._watch.close()
        for slot in self._slots:
            slot.cancel()
        if self._slots:
            await asyncio.wait(self._slots, timeout=CLOSE_SECONDS)
        self._executor.close()

    async def _slot(self) -> None:
        """Run what waits, until nothing does or this slot is cancelled from outside."""
        turn_ends = time.monotonic() + TURN_SECONDS
        while self._waiting:
            run = self._waiting.popleft()
            try:
                end = self._begin(run)
                if isinstance(end, Pending):
                    self._returned(run, await end.end)
                    if not _take_cancellation(run):
                        return
                else:
                    self._conclude(run, end)
            except Exception as error:
                log.exception("the worker failed to run a task", extra=run.described())
                self._conclude(run, fail(run.task, error, seconds=run.seconds()))
            finally:
                if self._lanes:
                    self._leave_lane(run)
            if time.monotonic() > turn_ends:
                await asyncio.sleep(0)
                turn_ends = time.monotonic() + TURN_SECONDS

    def _begin(self, run: Run) -> Finish | Pending | None:
        if time.monotonic() > run.lease_until:
            # Stopped, starved or cut off for too long: by now somebody else may have the task.
            return release(run.task)
        return self._executor.begin(run)

    def _skip(self, run: Run) -> bool:
        """Take a run that has not started off the waiting ones; return whether it was there."""
        if self._lanes and self._lanes.skip(run):
            return True
        if run not in self._waiting:
            return False
        self._waiting.remove(run)
        self._leave_lane(run)
        self._use_slots()
        return True

    def _leave_lane(self, run: Run) -> None:
        """Let the next of its type take the place of `run`, which is over or will not start."""
        following = self._lanes.ended(run)
        if following is not None:
            self._waiting.append(following)

    def _set_aside(self, run: Run, seconds: float) -> None:
        """Give a task back, uncharged, whose type runs as often as it may."""
        if not run.concluded:
            run.concluded = True
            metrics.SET_ASIDE.labels(metrics.type_label(run.task.type)).inc()
            self._record(run, snooze(run.task, seconds))

    def _returned(self, run: Run, finish: Finish | None) -> None:
        if run.concluded:
            log.info(
                "a handler has ended after its attempt: its slot is free", extra=run.described()
            )
        self._conclude(run, finish)

    def _conclude(self, run: Run, finish: Finish | None) -> None:
        if run.concluded:
            return
        run.concluded = True
        self.finished += 1
        if finish is None:
            self._lose(run)
        else:
            self._record(run, finish)

    def _abandon(self, run: Run) -> None:
        """Record the end of a run whose handler does not stop."""
        metrics.STUCK_HANDLERS.labels(metrics.type_label(run.task.type)).inc()
        log.warning("the handler does not stop: its slot stays taken", extra=run.described())
        still_running = Ended(error=asyncio.CancelledError())
        seconds = run.seconds()
        self._conclude(
            run, conclude(run.task, still_running, reason=run.stop_reason, seconds=seconds)
        )

    def _ended(self, slot: asyncio.Task[None]) -> None:
        self._slots.discard(slot)
        if not slot.cancelled() and (error := slot.exception()) is not None:
            log.error("a slot failed", exc_info=error)
        if self._waiting:
            self.offer(())
        elif not self._slots and not self._idle.is_set():
            self._busy_seconds = self.busy_seconds(time.monotonic())
            self._idle.set()


def _take_cancellation(run: Run) -> bool:
    """Clear the cancellation that stopped the handler. False: not ours, so the slot must end."""
    slot = asyncio.current_task()
    if slot is None or not slot.cancelling():
        return True
    while slot.cancelling():
        slot.uncancel()
    return run.stop_reason is not None
