"""What the log says of attempts: a line each while they are few, one a second when many."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tidemill.models import Finish
from tidemill.states import Outcome
from tidemill_worker.run import Run

LINES_A_SECOND = 20
"""Beyond this a person cannot follow, and the formatting would cost more than short tasks do."""

log = logging.getLogger("tidemill.worker")

_WORDS = {
    Outcome.SUCCEEDED: "succeeded",
    Outcome.RETRY: "failed and will run again",
    Outcome.FAILED: "failed for good",
    Outcome.CANCELLED: "cancelled",
    Outcome.SNOOZED: "snoozed",
    Outcome.RELEASED: "given back",
}


class Chronicle:
    """Tells of recorded attempts. Used on the loop."""

    def __init__(self) -> None:
        """Start a quiet second."""
        self._began = time.monotonic()
        self._lines = 0
        self._untold: Counter[Outcome] = Counter()

    def tell(self, ends: Sequence[tuple[Run, Finish]], counts: Mapping[Outcome, int]) -> None:
        """Log these ends, or count them for the second's summary; `counts` is of `ends`."""
        if not log.isEnabledFor(logging.INFO):
            return
        now = time.monotonic()
        if now - self._began >= 1.0 and not self._untold:
            self._began, self._lines = now, 0
        if self._lines + len(ends) <= LINES_A_SECOND:
            self._lines += len(ends)
            for run, finish in ends:
                _tell(run, finish)
            return
        if not self._untold:
            asyncio.get_running_loop().call_later(1.0, self.sum_up)
            self._began = now
        self._untold.update(counts)

    def sum_up(self) -> None:
        """Log what has been counted since the last line."""
        if not self._untold:
            return
        seconds = time.monotonic() - self._began
        told = ", ".join(f"{count} {_WORDS[outcome]}" for outcome, count in self._untold.items())
        log.info("in %.1f s: %s", seconds, told)
        self._untold.clear()
        self._began, self._lines = time.monotonic(), 0


def _tell(run: Run, finish: Finish) -> None:
    level = logging.WARNING if finish.outcome is Outcome.FAILED else logging.INFO
    log.log(level, "task %s", _WORDS[finish.outcome], extra=_fields(run, finish))


def _fields(run: Run, finish: Finish) -> dict[str, Any]:
    fields = run.described() | {"seconds": round(finish.run_seconds, 3)}
    if finish.error is not None:
        fields["error"] = f"{finish.error['type']}: {finish.error['message']}"
    if finish.delay_seconds is not None:
        fields["again_in"] = round(finish.delay_seconds, 1)
    return fields
