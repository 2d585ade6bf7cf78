"""Scaling decisions of a queue: as they were recorded, newest first, page by page."""

from typing import Any

import aiohttp

from tests.contract.conftest import running_api
from tests.support import postgres
from tests.support.http import ask, enqueue
from tests.support.tokens import bearer, entry, text_of
from tidemill.store import Store
from tidemill.store.queues import Owner, QueueSettings
from tidemill.store.scaling import DecisionRecord

DECISIONS = 7


async def decide(store: Store, queue: str, desired: int, target: str = "ns/workers") -> None:
    await store.scaling.record(
        DecisionRecord(
            target=target,
            queue=queue,
            replicas=desired - 1,
            desired=desired,
            reason="backlog",
            inputs={"ready": desired * 10, "rate": 0.5},
            clamps=["max"],
        )
    )


async def owned(store: Store, queue: str = "q") -> None:
    await store.queues.configure(queue, QueueSettings(), Owner("uid", "ns/workers"))


async def pages(http: aiohttp.ClientSession, limit: int) -> list[Any]:
    """Return all decisions of `q`, newest first."""
    found: list[Any] = []
    cursor = ""
    while True:
        page = await ask(http, "GET", f"/api/queues/q/scaling?limit={limit}{cursor}")
        found += page.json["decisions"]
        if page.json["next"] is None:
            return found
        assert len(page.json["decisions"]) == limit
        cursor = f"&cursor={page.json['next']}"


async def test_decisions_come_as_they_were_recorded_newest_first(
    http: aiohttp.ClientSession, store: Store
) -> None:
    await owned(store)
    await decide(store, "q", 3)
    await decide(store, "q", 4)
    await decide(store, "other", 9)
    newest, first = (await ask(http, "GET", "/api/queues/q/scaling")).json["decisions"]
    assert newest.pop("decided_at") >= first.pop("decided_at")
    assert newest == {
        "target": "ns/workers",
        "queue": "q",
        "replicas": 3,
        "desired": 4,
        "reason": "backlog",
        "inputs": {"ready": 40, "rate": 0.5},
        "clamps": ["max"],
    }
    assert first["desired"] == 3


async def test_pages_have_each_decision_once_also_those_of_one_moment(
    http: aiohttp.ClientSession, store: Store
) -> None:
    await owned(store)
    for desired in range(1, DECISIONS + 1):
        await decide(store, "q", desired)
    await store.db.execute(
        "UPDATE tidemill.scaling_decisions SET decided_at = statement_timestamp() WHERE desired > 2"
    )
    for limit in (1, 2, DECISIONS, 100):
        found = [each["desired"] for each in await pages(http, limit)]
        assert found == list(range(DECISIONS, 0, -1)), limit


async def test_a_queue_without_an_owner_has_its_own_and_those_for_all_queues(
    http: aiohttp.ClientSession, store: Store
) -> None:
    await enqueue(http, queue="q")
    for desired, queue in ((2, "q"), (3, "*"), (4, "other"), (5, "*")):
        await decide(store, queue, desired, target="up/here")
    for limit in (1, 2, 100):
        found = [(each["desired"], each["queue"]) for each in await pages(http, limit)]
        assert found == [(5, "*"), (3, "*"), (2, "q")]
    await owned(store)
    assert await pages(http, 1) == []  # none of these is the owner's


async def test_a_queue_that_is_not_there_is_404_and_a_broken_cursor_is_refused(
    http: aiohttp.ClientSession,
) -> None:
    await enqueue(http, queue="q")
    assert (await ask(http, "GET", "/api/queues/q/scaling")).json == {"decisions": [], "next": None}
    for name in ("unborn", "%00", "a b"):
        assert (await ask(http, "GET", f"/api/queues/{name}/scaling")).status == 404, name
    for cursor in ("x", "1", "1.x", f"{10**17}.1", "1." + "9" * 19, "-1.1"):
        answer = await ask(http, "GET", f"/api/queues/q/scaling?cursor={cursor}")
        assert (answer.status, answer.fields) == (400, ["cursor"]), cursor
    far = f"/api/queues/q/scaling?cursor={10**17 - 1}.{10**18 - 1}"
    assert (await ask(http, "GET", far)).status == 200


async def test_a_token_of_other_queues_is_refused(database_url: str, store: Store) -> None:
    await owned(store)
    tokens = text_of(entry("all", "admin"), entry("some", "read", queues=["p"]))
    async with running_api(postgres.settings_of(database_url, tokens=tokens)) as http:
        for token, status in (("all", 200), ("some", 403)):
            answer = await ask(http, "GET", "/api/queues/q/scaling", headers=bearer(token))
            assert answer.status == status
