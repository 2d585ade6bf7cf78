"""The duty that fires cron schedules."""

import logging

from tidemill import metrics
from tidemill.maintenance.duties import Duty, Hint
from tidemill.store import Store
from tidemill.store.firing import EnqueueRules

log = logging.getLogger(__name__)

BATCH = 100
"""Schedules that one transaction fires: it holds their rows."""


class Scheduler(Duty):
    """Fires the slots of schedules that have come."""

    def __init__(
        self, store: Store, interval: float, rules: EnqueueRules, hint: Hint | None = None
    ) -> None:
        """Look every `interval` seconds; enqueue by `rules`; tell `hint` which queues got tasks."""
        super().__init__("scheduler", store, interval, hint)
        self._rules = rules

    async def run_once(self) -> int:
        """Fire one batch."""
        fired = await self._store.schedules.fire(BATCH, self._rules)
        for name, error in fired.failed.items():
            log.warning("a slot fired no task: %s", error, extra={"schedule": name})
        self._tell(fired.queues)
        metrics.UPKEEP.labels(self.name).inc(fired.tasks)
        return fired.schedules if fired.schedules >= BATCH else 0
