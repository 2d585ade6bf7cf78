"""How a worker ends without losing a task or charging anybody a retry.

    claiming stops -> what has not started goes back first -> running handlers may go on for
    `drain_seconds` -> the rest is cancelled and goes back -> every outcome is recorded -> we leave

"Goes back" is always uncharged. A second signal makes the waiting end at once.
"""

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

from tidemill.errors import TidemillError
from tidemill.sdk.context import StopReason
from tidemill_worker.dispatcher import Dispatcher
from tidemill_worker.finisher import Finisher
from tidemill_worker.ledger import Ledger
from tidemill_worker.registration import Registration
from tidemill_worker.slots import Slots
from tidemill_worker.watch import STOP_GRACE_SECONDS, TICK_SECONDS

FLUSH_SECONDS = 4.0
"""How long the last outcomes may take; beyond it they are left to their leases' expiry."""

LEAVE_SECONDS = 1.5
"""How long signing off may take. All waits after the drain time add up to less than 10 s, for a
pod is killed 10 s after it."""

log = logging.getLogger("tidemill.worker")


@dataclass(frozen=True, slots=True)
class Drained:
    """How it went. `clean`: nothing is left that only an expired lease can bring back."""

    returned: int
    cancelled: int
    unrecorded: int

    @property
    def clean(self) -> bool:
        """Whether every lease was handed over."""
        return self.unrecorded == 0


async def drain(
    dispatcher: Dispatcher,
    slots: Slots,
    finisher: Finisher,
    *,
    seconds: float,
    hurry: asyncio.Event,
    patient: bool = False,
) -> Drained:
    """Go through the steps above; running handlers get `seconds`, or until `hurry` is set.

    A `patient` drain waits for the database, or for `hurry`, until every outcome is recorded.
    """
    started = slots.in_use
    returned = slots.refuse()  # from here on a claim still in flight is given back as it arrives
    await _ended((dispatcher.stop(), slots.idle()), seconds, hurry)
    cancelled = slots.in_use
    if cancelled:
        slots.stop_running(StopReason.DRAINING)
        await _ended((slots.idle(),), STOP_GRACE_SECONDS + 2 * TICK_SECONDS)
    if patient:
        await _ended((finisher.empty(),), float("inf"), hurry)
    recorded = await finisher.flushed(FLUSH_SECONDS)
    log.debug("drained", extra={"running": started, "returned": returned, "cancelled": cancelled})
    return Drained(returned, cancelled, 0 if recorded else len(finisher))


async def leave(registration: Registration, ledger: Ledger) -> None:
    """Sign off; when the database is away the row grows stale and is removed by others."""
    try:
        async with asyncio.timeout(LEAVE_SECONDS):
            await registration.leave(ledger.leases())
    except (TidemillError, TimeoutError) as error:
        log.warning("could not sign off: %s", error)


async def _ended(
    parts: Iterable[Coroutine[Any, Any, None]],
    seconds: float,
    hurry: asyncio.Event | None = None,
) -> None:
    """Wait for all of `parts`, for `seconds` at most, or until `hurry` is set."""
    ends = asyncio.ensure_future(_all(parts))
    hurried = asyncio.ensure_future((hurry or asyncio.Event()).wait())
    try:
        await asyncio.wait([ends, hurried], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in (ends, hurried):
            each.cancel()
        await asyncio.gather(ends, hurried, return_exceptions=True)


async def _all(parts: Iterable[Coroutine[Any, Any, None]]) -> None:
    await asyncio.gather(*parts)
