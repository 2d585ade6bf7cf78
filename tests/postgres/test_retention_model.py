"""Retention against a model: random tasks, ages, keep times; what is due goes, all else stays."""

import random
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import pytest

from tests.support import past
from tidemill.maintenance.retention import Retainer
from tidemill.settings import Settings
from tidemill.states import Outcome
from tidemill.store import Store

HOUR, DAY = 3600.0, 86400.0
TIMES = (0.0, 2 * HOUR, DAY, 3 * DAY, 6.5 * DAY, 12 * DAY, None)
DEFAULTS = {
    Outcome.SUCCEEDED: 7 * DAY,
    Outcome.FAILED: 30 * DAY,
    Outcome.CANCELLED: 7 * DAY,
}


@dataclass(frozen=True)
class Ended:
    """A task that ended so long ago, and how long it is to be kept."""

    id: UUID
    outcome: Outcome
    seconds_ago: float
    keep: float

    @property
    def stays(self) -> bool:
        """Not due, whatever day it is counted by."""
        return self.seconds_ago < self.keep

    @property
    def goes(self) -> bool:
        """Due; where days are counted, the day of its end is over, too."""
        whole_days = self.keep >= DAY and self.outcome is not Outcome.FAILED
        return self.seconds_ago > self.keep + (DAY + HOUR if whole_days else HOUR)


async def some(
    store: Store, dice: random.Random, keeps: dict[str, dict[Outcome, float]]
) -> list[Ended]:
    """Let tasks end in the past: created up to 20 days ago, ended on that day or later."""
    tasks: list[Ended] = []
    for _ in range(12):
        queue, outcome = dice.choice(list(keeps)), dice.choice(list(DEFAULTS))
        born, died = sorted((dice.randint(0, 20), dice.randint(0, 20)), reverse=True)
        ids = await past.ended(store, outcome, dice.choice((1, 7)), ago=born, queue=queue)
        later = timedelta(days=born - died)
        for table, column in (("attempts", "finished_at"), ("dead_letters", "failed_at")):
            await store.db.execute(
                f"UPDATE tidemill.{table} SET {column} = {column} + $2::interval "  # noqa: S608 - this file's own
                "WHERE task_id = ANY ($1)",
                ids,
                later,
            )
        tasks += [Ended(each, outcome, died * DAY, keeps[queue][outcome]) for each in ids]
    return tasks


@pytest.mark.parametrize("seed", range(4))
async def test_what_is_due_goes_and_all_else_stays(
    store: Store, settings: Settings, seed: int
) -> None:
    dice = random.Random(seed)
    await past.make_days(store.db, *range(2, 23))
    keeps: dict[str, dict[Outcome, float]] = {}
    for queue in ("a", "b", "c"):
        own = {outcome: dice.choice(TIMES) for outcome in DEFAULTS}
        await past.keep(store.db, queue, **{outcome.value: each for outcome, each in own.items()})
        keeps[queue] = {
            outcome: default if (each := own[outcome]) is None else each
            for outcome, default in DEFAULTS.items()
        }
    tasks = await some(store, dice, keeps)
    assert sum((await past.books(store)).values()) == len(tasks)
    retainer = Retainer(store, settings)
    while await retainer.run_once():
        await past.books(store)
    left = await past.kept(store.db)
    assert [task for task in tasks if task.stays and task.id not in left] == []
    assert [task for task in tasks if task.goes and task.id in left] == []
    assert any(task.stays for task in tasks)
    assert any(task.goes for task in tasks)
    assert sum((await past.books(store)).values()) == len(left)
