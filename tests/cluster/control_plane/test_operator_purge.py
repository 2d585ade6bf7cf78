"""deletionPolicy Purge, from the TaskQueue that is deleted to the tasks that are gone."""

import asyncio
import time

from tests.support.control_plane import ControlPlane, Operator, plain_deployment, task_queue
from tests.support.postgres import settings_of
from tests.support.scaling import enqueue, queue_row
from tests.support.waiting import until
from tidemill.db import Database
from tidemill.store import Store

PATIENCE = 240.0
"""A minute of absence, shown by two full lists that are a minute apart."""


def purged(url: str) -> dict[str, int]:
    """Do what maintenance in the API's and the workers' processes does; return what went."""

    async def step() -> dict[str, int]:
        database = Database.of(settings_of(url), application="tests", pool_size=1)
        try:
            return await Store.of(database).purges.step(1000)
        finally:
            await database.close()

    return asyncio.run(step())


def test_purge_deletes_the_tasks_of_a_queue_that_nobody_takes_over(
    clean: ControlPlane, operator: Operator, database_url: str
) -> None:
    policies = {"gone": "Purge", "again": "Purge", "kept": "Retain"}
    for name, policy in policies.items():
        clean.apply(plain_deployment(name, replicas=0))
        spec = {"scaleTargetRef": {"name": name}, "deletionPolicy": policy}
        clean.apply(task_queue(name, spec))
    until(
        lambda: all(queue_row(database_url, name).get("owner_uid") for name in policies),
        seconds=60,
        what="owned",
    )
    for name in policies:
        enqueue(database_url, name, 3)
    first = queue_row(database_url, "again")["owner_uid"]
    clean.run("delete", "taskqueue", "gone", "again", "kept", "--timeout=60s")
    clean.apply(task_queue("again", {"scaleTargetRef": {"name": "again"}}))

    until(lambda: not queue_row(database_url, "kept")["owner_uid"], seconds=60, what="let go")
    until(
        lambda: queue_row(database_url, "again")["owner_uid"] not in (first, None),
        seconds=60,
        what="taken over",
    )
    deleted_at = time.monotonic()
    assert purged(database_url) == {}  # not yet: its owner has just gone
    until(
        lambda: not queue_row(database_url, "gone")["owner_uid"], seconds=PATIENCE, what="ordered"
    )
    assert time.monotonic() - deleted_at >= 30
    assert purged(database_url) == {"gone": 3}
    assert purged(database_url) == {}
    assert "queue gone is purged" in operator.said()
    assert "Traceback" not in operator.said()
