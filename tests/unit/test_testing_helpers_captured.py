"""`capture`: what is enqueued is noted down, without a database."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tidemill import App, Middleware, NewTask
from tidemill.errors import ConfigurationError, InvalidTask
from tidemill.settings import Settings
from tidemill.states import Status
from tidemill_worker.testing import NotStored, capture


@dataclass
class Address:
    street: str
    zip: str = "0"


app = App(settings=Settings.load({}))


@app.task(queue="mail", max_retries=7)
async def welcome(to: str, address: Address | None = None) -> None:
    """Greet somebody."""


@app.task
async def other(n: int = 0) -> None:
    """Do something else."""


async def test_enqueues_are_noted_and_answered() -> None:
    with capture(app) as captured:
        answer = await welcome.enqueue(to="ada@example.com")
        later = await welcome.using(delay_seconds=60, priority="high").enqueue(to="bob")
    assert (answer.status, answer.queue, answer.created) == (Status.QUEUED, "mail", True)
    assert later.status is Status.SCHEDULED
    assert answer.id != later.id
    assert [each.payload["to"] for each in captured.tasks] == ["ada@example.com", "bob"]
    [task] = captured.assert_enqueued(welcome, {"to": "bob"}, delay_seconds=60, priority=100)
    assert task.type == "welcome"


async def test_many_at_once_are_noted() -> None:
    with capture(app) as captured:
        await app.client.enqueue_many([other.new(n=n) for n in range(3)])
        await other.enqueue_many([{"n": 3}, {"n": 4}])
        assert [each.payload["n"] for each in captured.tasks] == [0, 1, 2, 3, 4]
        captured.clear()
        captured.assert_nothing_enqueued()


async def test_a_payload_that_does_not_fit_is_refused_as_ever() -> None:
    with capture(app) as captured, pytest.raises(InvalidTask, match=r"payload\.to"):
        await welcome.enqueue(to=["no", "string"])
    captured.assert_nothing_enqueued()


async def test_outside_the_block_the_app_enqueues_as_before() -> None:
    with capture(app):
        await other.enqueue()
    with pytest.raises(ConfigurationError, match="TIDEMILL_DATABASE_URL"):
        await other.enqueue()


async def test_blocks_may_lie_within_each_other() -> None:
    with capture(app) as outer:
        with capture(app) as inner:
            await other.enqueue(n=1)
        await other.enqueue(n=2)
    assert [each.payload for each in inner.tasks] == [{"n": 1}]
    assert [each.payload for each in outer.tasks] == [{"n": 2}]


async def test_a_part_of_the_payload_is_enough_at_any_depth() -> None:
    with capture(app) as captured:
        await welcome.enqueue(to="ada", address=Address("Main Street", "123"))
    captured.assert_enqueued(welcome, {"address": {"zip": "123"}})
    captured.assert_enqueued("welcome", {"address": Address("Main Street", "123")}, queue="mail")
    with pytest.raises(AssertionError):
        captured.assert_enqueued(welcome, {"address": {"zip": "124"}})


async def test_a_failed_assertion_lists_what_was_enqueued() -> None:
    with capture(app) as captured:
        await other.enqueue(n=3)
        await welcome.using(delay_seconds=5).enqueue(to="ada")
    with pytest.raises(AssertionError) as raised:
        captured.assert_enqueued(welcome, {"to": "bob"}, queue="mail")
    head, *listed = str(raised.value).splitlines()
    assert 'at least one enqueued task of type \'welcome\' with {"to":"bob"} in its' in head
    assert head.endswith("payload, queue='mail'; found 0. Enqueued:")
    assert listed == [
        '  1. other  {"n":3}  queue=default',
        '  2. welcome  {"to":"ada"}  queue=mail  delay_seconds=5',
    ]


async def test_counts_are_exact() -> None:
    with capture(app) as captured:
        await other.enqueue()
        await other.enqueue()
    captured.assert_enqueued(other, count=2)
    for count in (0, 1, 3):
        with pytest.raises(AssertionError, match=f"expected {count} .*found 2"):
            captured.assert_enqueued(other, count=count)
    with pytest.raises(AssertionError, match="expected 0"):
        captured.assert_nothing_enqueued(other)
    captured.assert_nothing_enqueued(welcome)


async def test_an_option_that_no_task_has_is_a_mistake_of_the_test() -> None:
    with capture(app) as captured:
        await other.enqueue()
    with pytest.raises(TypeError, match=r"a task has no 'qeue': it has type, payload"):
        captured.assert_enqueued(other, qeue="mail")


async def test_with_nothing_enqueued_the_message_says_so() -> None:
    with capture(app) as captured:
        pass
    with pytest.raises(AssertionError, match="Nothing was enqueued"):
        captured.assert_enqueued(other)
    assert repr(captured) == "<0 captured tasks>"


async def test_what_takes_a_database_says_so() -> None:
    with capture(app):
        handle = await other.enqueue()
        for ask in (handle.result, handle.task, handle.cancel):
            with pytest.raises(NotStored, match=f"task {handle.id} was captured.*TestWorker"):
                await ask()


def test_enqueues_of_code_that_cannot_await_are_noted() -> None:
    with capture(app) as captured:
        welcome.enqueue_sync(to="ada")
        other.using(queue="q").enqueue_many_sync([{"n": 1}, {"n": 2}])
    captured.assert_enqueued(welcome, {"to": "ada"}, count=1)
    captured.assert_enqueued(other, queue="q", count=2)


async def test_enqueues_in_a_transaction_are_noted() -> None:
    connection = object()
    with capture(app) as captured:
        await welcome.using(connection=connection).enqueue(to="ada")
        other.using(connection=connection).enqueue_sync(n=1)
    assert [each.type for each in captured.tasks] == ["welcome", "other"]


async def test_middleware_goes_around_as_ever() -> None:
    class Stamped(Middleware):
        @contextmanager
        def enqueue(self, tasks: Sequence[NewTask]) -> Generator[None]:
            for each in tasks:
                each.headers = {"tenant": "7"}
            yield

    local = App(middleware=[Stamped()])

    @local.task
    async def work() -> None: ...

    with capture(local) as captured:
        await work.enqueue()
    assert captured.tasks[0].headers == {"tenant": "7"}
