"""The query of docs/external-scaling.md counts what waits and runs, with the operator's rights."""

import psycopg

from tests.support.outside import register
from tests.support.pages_yaml import of_kind
from tests.support.scaling import enqueue
from tidemill.store import Store

QUERY = next(
    trigger["metadata"]["query"]
    for scaled in of_kind("external-scaling.md", "ScaledObject")
    for trigger in scaled["spec"]["triggers"]
    if trigger["type"] == "postgresql"
)


def counted(url: str) -> list[tuple[int]]:
    with psycopg.connect(url) as connection:
        connection.execute("SET ROLE tidemill_operator")
        return connection.execute(QUERY).fetchall()


async def test_waiting_and_running_tasks_of_that_queue_are_counted_up_to_a_cap(
    database_url: str, store: Store
) -> None:
    enqueue(database_url, "emails", 3)
    enqueue(database_url, "others", 5)
    assert counted(database_url) == [(3,)]
    await register(store, "emails", "pod", 1)
    assert counted(database_url) == [(3,)]
    enqueue(database_url, "emails", 2000)
    assert counted(database_url) == [(1001,)]
