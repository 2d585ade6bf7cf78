"""Running tasks: coroutines, threads, timeouts, cancellation; each ends in one outcome."""

import asyncio
import contextvars
import threading
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel, computed_field

from tests.support.worker import Bench, claimed, eventually, run_of
from tidemill import App, Context
from tidemill.states import Outcome
from tidemill.store.rules import MAX_PAYLOAD_BYTES


@pytest.fixture
def app() -> App:
    return App()


async def test_handlers_get_their_decoded_arguments(app: App) -> None:
    @app.task
    async def task(context: Context, x: int, y: int = 2) -> list[object]:
        return [context.attempt, context.type, x + y]

    finish = await Bench(app).run(payload={"x": 5}, retry_count=1)
    assert (finish.outcome, finish.result) == (Outcome.SUCCEEDED, [2, "task", 7])


async def test_a_bad_payload_is_no_use_retrying(app: App) -> None:
    @app.task
    async def task(x: int) -> None: ...

    finish = await Bench(app).run(payload={"x": "five"})
    assert finish.outcome is Outcome.FAILED
    assert finish.error is not None
    assert finish.error["type"] == "InvalidTask"
    assert finish.error["message"].startswith("payload.x: ")


async def test_a_result_that_is_no_json_fails_for_good(app: App) -> None:
    @app.task
    async def task() -> object:
        return object()

    finish = await Bench(app).run()
    assert finish.outcome is Outcome.FAILED
    assert finish.error is not None
    assert finish.error["type"] == "Unstorable"


@pytest.mark.parametrize("text", ["a\0b", "half a pair: \ud800"])
async def test_a_result_that_postgres_cannot_hold_fails_for_good_with_one_sentence(
    app: App, text: str
) -> None:
    @app.task
    async def task() -> dict[str, str]:
        return {"text": text}

    finish = await Bench(app).run()
    assert finish.outcome is Outcome.FAILED
    assert finish.error is not None
    assert finish.error["message"].startswith("the result cannot be stored as JSON: must ")
    assert finish.error["traceback"] == ""


async def test_a_result_that_is_too_large_fails_for_good_and_says_by_how_much(app: App) -> None:
    @app.task
    async def task(size: int) -> str:
        return "x" * size

    most = MAX_PAYLOAD_BYTES
    assert (await Bench(app).run(payload={"size": most - 2})).outcome is Outcome.SUCCEEDED
    finish = await Bench(app).run(payload={"size": most - 1})
    assert finish.outcome is Outcome.FAILED
    assert finish.error is not None
    assert f"at most {most} bytes as JSON (got {most + 1} bytes)" in finish.error["message"]


async def test_a_result_that_raises_while_it_is_read_fails_for_good(app: App) -> None:
    @app.task
    async def task() -> object:
        return (10 // n for n in (1, 0))

    finish = await Bench(app).run()
    assert finish.outcome is Outcome.FAILED
    assert finish.error is not None
    assert finish.error["type"] == "Unstorable"
    assert "modulo by zero" in finish.error["message"]


async def test_an_error_of_the_worker_s_own_ends_the_attempt_and_no_slot(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an end the lease would be kept alive for ever."""

    @app.task
    async def task() -> None: ...

    bench = Bench(app, concurrency=1)
    with monkeypatch.context() as patch:
        patch.setattr(bench, "returned", None)  # so looking up a type that is unknown fails
        finish = await bench.run("elsewhere", created_at=datetime.now(UTC))
    assert finish.outcome is Outcome.RETRY
    assert finish.error is not None
    assert finish.error["type"] == "AttributeError"
    assert (await bench.run()).outcome is Outcome.SUCCEEDED


class Half(BaseModel):
    @computed_field  # type: ignore[prop-decorator] # as pydantic documents it
    @property
    def other(self) -> int:
        raise KeyError("other")


async def test_a_result_whose_own_code_fails_to_serialize_it_fails_for_good(app: App) -> None:
    @app.task
    async def task() -> object:
        return Half()

    bench = Bench(app, concurrency=1)
    for _ in range(2):  # the slot lives on
        finish = await bench.run()
        assert finish.outcome is Outcome.FAILED
        assert finish.error is not None
        assert finish.error["type"] == "Unstorable"


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), asyncio.CancelledError()])
@pytest.mark.parametrize("waits", [False, True])
async def test_whatever_a_coroutine_raises_is_a_failed_attempt(
    app: App, error: BaseException, waits: bool
) -> None:
    @app.task
    async def task() -> None:
        if waits:
            await asyncio.sleep(0)
        raise error

    bench = Bench(app, concurrency=1)
    finish = await bench.run()
    assert finish.outcome is Outcome.RETRY
    assert finish.error is not None
    assert finish.error["type"] == type(error).__name__
    assert (await bench.run()).outcome is Outcome.RETRY  # the slot lives on


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), StopIteration()])
async def test_whatever_a_function_raises_is_a_failed_attempt(
    app: App, error: BaseException
) -> None:
    @app.task
    def task() -> None:
        raise error

    assert (await Bench(app).run()).outcome is Outcome.RETRY


async def test_plain_functions_run_in_threads_beside_each_other(app: App) -> None:
    meeting = threading.Barrier(3, timeout=60)

    @app.task
    def task() -> str:
        meeting.wait()
        return threading.current_thread().name

    bench = Bench(app, concurrency=3)
    bench.slots.offer([run_of(claimed()) for _ in range(3)])
    await eventually(lambda: len(bench.finishes) == 3)
    assert all(finish.outcome is Outcome.SUCCEEDED for finish in bench.finishes)
    assert len({finish.result for finish in bench.finishes}) == 3


async def test_no_more_than_the_slots_run_at_once_in_order(app: App) -> None:
    running: list[int] = []
    most, order = 0, []

    @app.task
    async def task(n: int) -> None:
        nonlocal most
        running.append(n)
        order.append(n)
        most = max(most, len(running))
        await asyncio.sleep(0.001)
        running.remove(n)

    bench = Bench(app, concurrency=3)
    bench.slots.offer([run_of(claimed(payload={"n": n})) for n in range(20)])
    assert bench.slots.waiting == 20
    await bench.slots.idle()
    assert most == 3
    assert order == list(range(20))
    assert len(bench.finishes) == 20


async def test_tasks_offered_as_the_last_slot_ends_are_run(app: App) -> None:
    @app.task
    async def task() -> None: ...

    bench = Bench(app, concurrency=1)
    for round_number in range(1, 50):
        bench.slots.offer([run_of(claimed())])
        await asyncio.sleep(0)  # the slot has ended, its callback may not have run yet
        bench.slots.offer([run_of(claimed())])
        await eventually(lambda n=round_number: len(bench.finishes) == 2 * n)  # type: ignore[misc] # a default binds the value


async def test_context_variables_stay_with_their_task(app: App) -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)

    @app.task
    async def task(n: int) -> list[int]:
        before = variable.get()
        variable.set(n)
        await asyncio.sleep(0)
        return [before, variable.get()]

    bench = Bench(app, concurrency=1)
    bench.slots.offer([run_of(claimed(payload={"n": n})) for n in (1, 2)])
    await bench.slots.idle()
    assert [finish.result for finish in bench.finishes] == [[0, 1], [0, 2]]


async def test_asyncio_s_own_timeouts_and_groups_work_in_a_handler(app: App) -> None:
    @app.task
    async def task() -> list[Any]:
        try:
            async with asyncio.timeout(0.001):
                await asyncio.sleep(10)
        except TimeoutError:
            pass
        async with asyncio.TaskGroup() as group:
            children = [group.create_task(asyncio.sleep(0, n)) for n in range(3)]
        return [child.result() for child in children]

    bench = Bench(app, concurrency=1)
    for _ in range(2):  # the second on the same slot: nothing of the first's may be left
        finish = await bench.run()
        assert (finish.outcome, finish.result) == (Outcome.SUCCEEDED, [0, 1, 2])


async def test_a_task_whose_lease_ran_out_while_it_waited_does_not_start(app: App) -> None:
    @app.task
    async def task() -> None:
        raise AssertionError("must not start")

    bench = Bench(app)
    run = run_of(claimed())
    run.lease_until = time.monotonic() - 1
    bench.slots.offer([run])
    await bench.slots.idle()
    assert [finish.outcome for finish in bench.finishes] == [Outcome.RELEASED]


async def test_after_refuse_nothing_starts_and_all_goes_back(app: App) -> None:
    go_on = asyncio.Event()

    @app.task
    async def task() -> None:
        await go_on.wait()

    bench = Bench(app, concurrency=1)
    runs = [run_of(claimed()) for _ in range(3)]
    bench.slots.offer(runs)
    await eventually(lambda: runs[0].runner is not None)
    assert bench.slots.refuse() == 2
    bench.slots.offer([run_of(claimed())])  # of a claim that was in flight
    assert [finish.outcome for finish in bench.finishes] == [Outcome.RELEASED] * 3
    go_on.set()
    await bench.slots.idle()
    assert bench.finishes[-1].outcome is Outcome.SUCCEEDED


async def test_short_handlers_leave_turns_to_the_rest_of_the_loop(app: App) -> None:
    @app.task
    async def task() -> None:
        time.sleep(0.002)  # noqa: ASYNC251 - a handler that never waits is the subject

    bench = Bench(app, concurrency=1)
    bench.slots.offer([run_of(claimed()) for _ in range(50)])
    turns = 0
    while len(bench.finishes) < 50:
        turns += 1
        await asyncio.sleep(0)
    assert turns >= 5
