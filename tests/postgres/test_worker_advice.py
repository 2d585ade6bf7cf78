"""What a worker says at its start of what may be a mistake; it works all the same."""

import logging
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.support.worker import finished
from tidemill import App, NewTask
from tidemill.client import Client
from tidemill.schedules import NewSchedule
from tidemill.settings import Settings
from tidemill.states import Status
from tidemill.store import Store
from tidemill_worker import Worker
from tidemill_worker.advice import unknown_queues

Lines = Callable[[], list[tuple[int, str]]]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    """What the worker said, and how loudly."""
    caplog.set_level(logging.INFO, logger="tidemill.worker")
    return lambda: [(line.levelno, line.getMessage()) for line in caplog.records]


@pytest.fixture
def working(app: App) -> App:
    @app.task
    async def task() -> None: ...

    return app


async def test_a_misspelt_queue_is_named_with_the_one_it_looks_like_and_served_once_it_is_there(
    working: App, settings: Settings, store: Store, client: Client, lines: Lines
) -> None:
    await client.enqueue(NewTask(type="task", queue="emails"))
    async with Worker(working, settings=replace(settings, queues="emials")):
        assert (
            logging.WARNING,
            "there is no queue emials: did you mean emails? (known: emails)",
        ) in lines()
        late = await client.enqueue(NewTask(type="task", queue="emials"))
        assert (await finished(store, late.id)).status is Status.SUCCEEDED


async def test_a_queue_that_is_not_there_yet_is_no_warning(
    working: App, settings: Settings, lines: Lines
) -> None:
    async with Worker(working, settings=replace(settings, queues="invoices=2")):
        pass
    assert (
        logging.INFO,
        "there is no queue invoices: it is served once it is there (known: none yet)",
    ) in lines()
    assert not [line for line in lines() if line[0] >= logging.WARNING and "queue" in line[1]]


def test_a_queue_that_is_served_is_not_what_another_was_meant_to_be() -> None:
    assert unknown_queues(("mail1", "mail2"), ["mail1"]) == [
        (False, "there is no queue mail2: it is served once it is there (known: mail1)")
    ]


def test_of_many_queues_the_first_are_named() -> None:
    ((misspelt, sentence),) = unknown_queues(("zebra",), [f"q{n:02}" for n in range(11)])
    assert not misspelt
    assert sentence.endswith("(known: q00, q01, q02, q03, q04, q05, q06, q07, q08, q09, …)")


async def test_a_schedule_that_is_gone_from_the_code_is_told_at_each_start(
    working: App, settings: Settings, store: Store, lines: Lines
) -> None:
    renamed, kept, others, by_hand = (
        NewSchedule(name=name, cron="0 0 1 1 *", type="old")
        for name in ("renamed", "kept", "others", "by-hand")
    )
    await store.schedules.register([renamed, kept], app="shop:app")
    await store.schedules.register([others], app="other:app")
    await store.schedules.put(by_hand)
    working.schedule("kept", cron="0 0 1 1 *", task="old")
    for _ in range(2):
        async with Worker(working, settings=replace(settings, app="shop:app")):
            pass
    sentence = (
        "schedule renamed is not declared by shop:app any more and goes on enqueueing old: "
        "`tidemill types apply shop:app --prune` removes it"
    )
    told = [line for line in lines() if "not declared" in line[1]]
    assert told == 2 * [(logging.WARNING, sentence)]
    assert [each.name for each in await store.schedules.list()] == [
        "by-hand", "kept", "others", "renamed",
    ]  # fmt: skip


async def test_an_app_without_a_name_is_told_of_nobodys_schedules(
    working: App, settings: Settings, store: Store, lines: Lines
) -> None:
    made = NewSchedule(name="another", cron="0 0 1 1 *", type="old")
    await store.schedules.register([made], app="embedded")
    async with Worker(working, settings=replace(settings, app="")):
        pass
    assert not [line for line in lines() if "not declared" in line[1]]
