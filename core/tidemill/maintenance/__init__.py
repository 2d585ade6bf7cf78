"""Maintenance: duties that every worker and API process runs. No leader: each is harmless twice.

A duty is a `Loop` whose `run_once` makes one call of `UpkeepStore` and returns how many rows it
acted on; a full batch runs again at once. An interval of 0 switches a duty off.
"""

from collections.abc import Callable

from tidemill.maintenance.duties import Expirer, Folder, Partitioner, Promoter, Purger, Recoverer
from tidemill.maintenance.retention import Lapser, Retainer
from tidemill.maintenance.scheduler import Scheduler
from tidemill.service import Loop
from tidemill.settings import Settings
from tidemill.store import Store
from tidemill.store.firing import EnqueueRules

__all__ = [
    "Expirer",
    "Folder",
    "Lapser",
    "Partitioner",
    "Promoter",
    "Purger",
    "Recoverer",
    "Retainer",
    "Scheduler",
    "duties",
]

Hint = Callable[[str], None]


def duties(store: Store, settings: Settings, hint: Hint | None = None) -> list[Loop]:
    """Return the duties that `settings` leave on. `hint` is told queues that got something."""
    loops: list[Loop] = [
        Promoter(store, settings.promote_seconds, hint),
        Recoverer(store, settings.recover_seconds, settings.max_crashes, hint),
        Scheduler(store, settings.schedule_seconds, EnqueueRules.of(settings), hint),
        Folder(store, settings.fold_seconds),
        Expirer(store, settings.expire_seconds),
        Partitioner(store, settings.partition_seconds),
        Lapser(store, settings.expire_seconds),
        Purger(store, settings.expire_seconds),
        Retainer(store, settings),
    ]
    return [loop for loop in loops if loop.interval > 0]
