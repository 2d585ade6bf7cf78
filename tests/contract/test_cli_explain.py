"""`tidemill explain QUEUE`: the decisions that the database keeps, as a command tells them."""

import asyncio
import json
from typing import Any

import pytest

from tests.support import storage
from tidemill.store import Store
from tidemill.store.queues import Owner, QueueSettings
from tidemill.store.scaling import DecisionRecord
from tidemill_cli.__main__ import run


async def record(store: Store, desired: int, *, queue: str, target: str) -> None:
    await store.scaling.record(
        DecisionRecord(
            target=target,
            queue=queue,
            replicas=desired - 1,
            desired=desired,
            reason=f"{desired * 5} waiting call for {desired}",
            inputs={"queued": desired * 5, "needed": desired},
            clamps=["maxReplicas: at most 10 are allowed, not 20"],
        )
    )


class Command:
    """The command in this process, against the test's database."""

    def __init__(self, url: str, capsys: pytest.CaptureFixture[str]) -> None:
        self._url, self._capsys = url, capsys

    async def __call__(self, *arguments: str) -> tuple[int, str, str]:
        words = ["explain", *arguments, "--database-url", self._url]
        code = await asyncio.to_thread(run, words)
        out, err = self._capsys.readouterr()
        return code, out, err

    async def json(self, *arguments: str) -> Any:
        code, out, err = await self("-o", "json", *arguments)
        assert code == 0, err
        return json.loads(out)


@pytest.fixture
def explain(database_url: str, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(database_url, capsys)


async def test_a_queue_of_a_task_queue_has_its_decisions(store: Store, explain: Command) -> None:
    await store.queues.configure("mail", QueueSettings(), Owner("uid", "ns/mail"))
    for desired in (2, 4):
        await record(store, desired, queue="mail", target="ns/mail")
    await record(store, 9, queue="*", target="ns/all")
    code, out, _ = await explain("mail")
    assert code == 0
    assert out.startswith("queue mail (TaskQueue ns/mail): 3 -> 4 workers, since ")
    assert "\n  because     20 waiting call for 4\n" in out
    assert "\n  bounded by  maxReplicas: at most 10 are allowed, not 20\n" in out
    told = await explain.json("mail", "--history", "5")
    assert [each["replicas"] for each in told] == [4, 2]
    assert (await explain.json("mail"))["inputs"] == {"queued": 20, "needed": 4}


async def test_a_queue_that_nobody_names_has_those_for_all(store: Store, explain: Command) -> None:
    await storage.enqueue(store, 1, queue="plain")
    _, out, _ = await explain("plain")
    assert out.startswith("queue plain: no decision in the last 7 days")
    assert await explain.json("plain") is None
    await record(store, 3, queue="*", target="up/here")
    _, out, _ = await explain("plain")
    assert out.startswith("all queues that no TaskQueue names (up/here): 2 -> 3 workers")


async def test_a_queue_that_is_not_there_says_which_are(store: Store, explain: Command) -> None:
    code, _, err = await explain("mail")
    assert (code, err) == (1, "tidemill: queue mail is not there (there are: none)\n")
    await storage.enqueue(store, 1, queue="post")
    _, _, err = await explain("mail")
    assert err == "tidemill: queue mail is not there (there are: post)\n"
