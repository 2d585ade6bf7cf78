"""What the log says of attempts: a line each while they are few, one a second when many.

The line of a failed attempt has the traceback that is recorded: trimmed, without secrets. Many are
told by numbers and one failure as an example. A failure that will be retried is no warning.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
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
_LOUD = {Outcome.FAILED}
_FAILURES = {Outcome.FAILED, Outcome.RETRY}

End = tuple[Run, Finish]


class Chronicle:
    """Tells of recorded attempts. Used on the loop."""

    def __init__(self) -> None:
        """Start a quiet second."""
        self._began = time.monotonic()
        self._lines = 0
        self._untold: Counter[Outcome] = Counter()
        self._example: End | None = None

    def tell(self, ends: Sequence[End], counts: Mapping[Outcome, int]) -> None:
        """Log these ends, or count them for the second's summary; `counts` is of `ends`."""
        if not log.isEnabledFor(logging.INFO):
            ends = [end for end in ends if end[1].outcome in _LOUD] if _LOUD & set(counts) else ()
            counts = Counter(finish.outcome for _, finish in ends)
        if not ends:
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
        if self._example is None and _FAILURES & set(counts):
            self._example = next(end for end in ends if end[1].outcome in _FAILURES)

    def sum_up(self) -> None:
        """Log what has been counted since the last line."""
        if not self._untold:
            return
        seconds = time.monotonic() - self._began
        told = ", ".join(f"{count} {_WORDS[outcome]}" for outcome, count in self._untold.items())
        log.log(_level(self._untold), "in %.1f s: %s", seconds, told)
        if self._example is not None:
            _tell(*self._example, "for example: ")
        self._untold.clear()
        self._example = None
        self._began, self._lines = time.monotonic(), 0


def _tell(run: Run, finish: Finish, before: str = "") -> None:
    level = _level((finish.outcome,))
    if not log.isEnabledFor(level):
        return
    path, number, function, _ = log.findCaller()
    said, words = "%stask %s", (before, _WORDS[finish.outcome])
    line = log.makeRecord(
        log.name, level, path, number, said, words, None, function, _fields(run, finish)
    )
    if finish.error is not None and finish.error["traceback"]:
        line.exc_text = finish.error["traceback"].rstrip()  # a text: the exception is long gone
    log.handle(line)


def _level(outcomes: Collection[Outcome]) -> int:
    return logging.WARNING if _LOUD & set(outcomes) else logging.INFO


def _fields(run: Run, finish: Finish) -> dict[str, Any]:
    fields = run.described() | {"seconds": round(finish.run_seconds, 3)}
    if finish.error is not None:
        fields["error"] = f"{finish.error['type']}: {finish.error['message']}"
    if finish.delay_seconds is not None:
        fields["again_in"] = round(finish.delay_seconds, 1)
    return fields
