"""The duties that end or remove what is past its time."""

import logging
from collections.abc import Awaitable, Callable
from datetime import date, timedelta

from tidemill.maintenance.duties import BATCH, Duty
from tidemill.settings import Settings
from tidemill.store import Store, passes
from tidemill.store.retention import Keep, Pass, goes_on

log = logging.getLogger(__name__)

BATCHES = 10
"""Full batches of one kind before the others have their turn."""


class Lapser(Duty):
    """Cancels tasks that were not started by their `expires_at` and still wait."""

    def __init__(self, store: Store, interval: float) -> None:
        """Look every `interval` seconds."""
        super().__init__("lapser", store, interval)

    async def run_once(self) -> int:
        """Look at one batch of tasks whose time has come."""
        seen, cancelled = await self._store.retention.expire_waiting(BATCH)
        if cancelled:
            log.info("%d waiting tasks were not started by their expires_at", cancelled)
        self._done(cancelled)
        return seen if seen >= BATCH else 0


class Retainer(Duty):
    """Removes ended tasks past their keep time: whole days where it can, else row by row."""

    def __init__(self, store: Store, settings: Settings) -> None:
        """Look every `retention_seconds`; keep what ended as long as `settings` say."""
        super().__init__("retainer", store, settings.retention_seconds)
        self._keep = Keep(
            succeeded=settings.keep_succeeded_seconds,
            failed=settings.keep_failed_seconds,
            cancelled=settings.keep_cancelled_seconds,
        )

    async def run_once(self) -> int:
        """Do one batch of each kind; days of attempts when nothing else is left to do."""
        retention = self._store.retention
        await retention.analyze()
        gone = await _batches(lambda: retention.thin_dead_letters(self._keep, BATCH))
        every = await retention.passes(self._keep)
        days = await retention.days("attempts")
        steps = [await self._step(each, days) for each in every]
        self._done(gone + sum(steps))
        if gone or any(steps):
            return 1
        await self._drop_attempts(every)
        return 0

    async def _step(self, each: Pass, days: dict[date, int]) -> int:
        spot = passes.look(each.spot, each.seconds, days, each.now)
        if spot is None:
            return 0
        if spot.final and spot.page == 0 and not await self._drop_days(spot.day):
            return 0
        return await _batches(lambda: self._store.retention.thin(each, self._keep, days, BATCH))

    async def _drop_days(self, until: date) -> bool:
        """Try to drop the days of bodies up to `until`; False when one is to be tried again."""
        for day in await self._store.retention.days("tasks"):
            if day > until:
                break
            answer = await self._store.retention.drop_day(day, self._keep)
            if answer == "dropped":
                log.info("dropped the tasks of %s", day)
            if not goes_on(answer):
                return False
        return True

    async def _drop_attempts(self, every: list[Pass]) -> None:
        """Try to drop days of attempts that a pass is done with: daily, or when one goes on."""
        now = every[0].now
        state = " ".join(str(day) for day in (now.date(), *(each.spot.day for each in every)))
        if not await self._store.retention.is_news(state):
            return
        longest = timedelta(seconds=max(self._keep.succeeded, self._keep.cancelled))
        until = min(max(each.spot.day for each in every), (now - longest).date())
        answers = [
            await self._drop_attempts_day(day, passed=all(each.spot.day > day for each in every))
            for day in await self._store.retention.days("attempts")
            if day < until
        ]
        if all(goes_on(answer) for answer in answers):
            await self._store.retention.noted(state)

    async def _drop_attempts_day(self, day: date, *, passed: bool) -> str:
        answer = await self._store.retention.drop_attempts_day(day)
        if answer == "dropped":
            log.info("dropped the attempts of %s", day)
        elif answer == "kept" and passed:
            log.warning("tasks of %s were passed by: all keep times are looked at again", day)
            await self._store.retention.begin_again()
        return answer


async def _batches(act: Callable[[], Awaitable[int]]) -> int:
    """Act until a batch is not full, or it is others' turn; return how much was done."""
    done = 0
    for _ in range(BATCHES):
        done += (batch := await act())
        if batch < BATCH:
            break
    return done
