"""Ends of attempts over HTTP: reports that come at the same time are recorded together."""

from collections.abc import Sequence
from typing import Final

from tidemill.batching import Batcher
from tidemill.errors import TidemillError
from tidemill.notify import Hints
from tidemill.store.endings import Ended, EndingStore
from tidemill_api.metrics import ApiMetrics

MOST_REPORTS: Final = 200
MOST_TOGETHER: Final = 1000
LANES: Final = 2

Report = Sequence[Ended]
Verdicts = list[bool]


class Endings:
    """The one way in for ends of attempts."""

    def __init__(self, store: EndingStore, hints: Hints, metrics: ApiMetrics) -> None:
        """Record with `store`, wake workers with `hints`, count in `metrics`."""
        self._store = store
        self._metrics = metrics
        self._hints = hints
        self._batcher: Batcher[Report, Verdicts] = Batcher(
            self._flush, most=MOST_REPORTS, lanes=LANES
        )

    async def record(self, report: Report) -> Verdicts:
        """Return for each end whether it is recorded. Raises DatabaseUnavailable, Overloaded."""
        verdicts = await self._batcher.submit(report)
        for end, recorded in zip(report, verdicts, strict=True):
            self._metrics.count_report(end.ending, recorded=recorded)
        return verdicts

    async def close(self) -> None:
        """Finish what was accepted."""
        await self._batcher.close()

    async def _flush(self, reports: list[Report]) -> Sequence[Verdicts | Exception]:
        try:
            return await self._together(reports)
        except TidemillError:
            raise
        except Exception:
            if len(reports) == 1:
                raise
            return [await self._alone(report) for report in reports]  # one of them is at fault

    async def _alone(self, report: Report) -> Verdicts | Exception:
        try:
            return (await self._together([report]))[0]
        except Exception as error:  # noqa: BLE001 - goes to who reported it
            return error

    async def _together(self, reports: list[Report]) -> list[Verdicts]:
        ends = [end for report in reports for end in report]
        held: Verdicts = []
        for start in range(0, len(ends), MOST_TOGETHER):
            recorded = await self._store.record(ends[start : start + MOST_TOGETHER])
            held += recorded.held
            for queue in sorted(recorded.queues):
                self._hints.hint(queue)
        verdicts = iter(held)
        return [[next(verdicts) for _ in report] for report in reports]
