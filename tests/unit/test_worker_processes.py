"""Handlers in processes of their own: what they get and what comes back."""

import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.handler_processes import Handlers, Told, handlers, pids, traced
from tests.support.process_app import app, trace
from tests.support.worker import eventually
from tidemill.errors import DatabaseUnavailable
from tidemill.sdk.context import Stopped, StopReason
from tidemill.signals import Snooze
from tidemill_worker.conclude import Reported, may_retry
from tidemill_worker.processes import pool as pool_module


@pytest.fixture(autouse=True)
def trace_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACE", str(tmp_path / "trace"))


@pytest.fixture
async def shop() -> AsyncIterator[Handlers]:
    async with handlers() as running:
        yield running


async def test_functions_and_coroutines_share_a_process_that_is_not_ours(shop: Handlers) -> None:
    ran = [await shop.run(each) for each in ("where", "where_async", "where", "where_async")]
    assert len({ended.value for ended in ran}) == 1
    assert ran[0].value != os.getpid()
    assert len(shop.pool) == 1


async def test_tasks_at_the_same_time_have_a_process_each(shop: Handlers, tmp_path: Path) -> None:
    one, other = str(tmp_path / "one"), str(tmp_path / "other")
    runs = [shop.begin("meet", mine=one, other=other), shop.begin("meet", mine=other, other=one)]
    ended = [await running for _, running in runs]
    assert len({each.value for each in ended}) == 2
    assert len(shop.pool) == 2


async def test_a_process_that_waits_for_long_is_ended_but_for_the_last(
    shop: Handlers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "IDLE_SECONDS", 0.05)
    one, other = str(tmp_path / "one"), str(tmp_path / "other")
    runs = [shop.begin("meet", mine=one, other=other), shop.begin("meet", mine=other, other=one)]
    for _, running in runs:
        await running
    await eventually(lambda: len(shop.pool) == 1, seconds=60)
    assert (await shop.run("where")).error is None


async def test_a_function_may_run_an_event_loop_of_its_own(shop: Handlers) -> None:
    assert (await shop.run("own_loop")).value == "from a loop of its own"
    assert (await shop.run("where_async")).error is None


async def test_payloads_and_results_may_be_large(shop: Handlers) -> None:
    text = "tidemill ✓ " * 300_000
    assert (await shop.run("echo", text=text)).value == text


async def test_a_handler_may_use_processes_of_its_own(shop: Handlers) -> None:
    assert (await shop.run("spread", numbers=[1, 2, 3])).value == 9
    assert (await shop.run("where")).error is None


async def test_resources_are_opened_once_in_each_process_and_closed_with_it() -> None:
    async with handlers() as shop:
        assert (await shop.run("share", number=1)).value == [1]
        assert (await shop.run("share", number=2)).value == [1, 2]
    assert traced() == ["closed after 2"]


async def test_what_a_handler_raises_is_recorded_and_retried_as_it_would_be_here(
    shop: Handlers,
) -> None:
    for how, kind, message, retried in (
        ("key", "KeyError", "'missing'", True),
        ("value", "ValueError", "wrong", False),
        ("other", "RuntimeError", "odd", False),
        ("retry", "Retry", "busy", True),
        ("discard", "Discard", "no use", False),
        ("exit", "SystemExit", "4", False),
        ("result", "Unstorable", "the result cannot be stored as JSON", False),
    ):
        error = (await shop.run("fail", how=how)).error
        assert isinstance(error, Reported)
        assert error.recorded["type"] == kind
        assert message in error.recorded["message"]
        assert ("process_app.py" in error.recorded["traceback"]) is (how != "result")
        assert may_retry(error, app.tasks["fail"].defaults) is retried
        assert error.after == (7.0 if how == "retry" else None)
    assert len(shop.pool) == 1


async def test_a_handler_may_snooze(shop: Handlers) -> None:
    error = (await shop.run("fail", how="snooze")).error
    assert isinstance(error, Snooze)
    assert error.seconds == 9.0


async def test_what_a_process_logs_is_logged_here_with_its_task(
    shop: Handlers, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with handlers() as fresh:  # a process takes over the levels that it finds
        run, running = fresh.begin("speak")
        assert (await running).error is None
    of_task = [each for each in caplog.records if getattr(each, "task", "") == str(run.task.id)]
    assert [each.getMessage() for each in of_task] == ["the order", "went wrong"]
    assert [vars(each).get("order") for each in of_task] == [5, None]
    assert of_task[1].name == "shop"
    assert "ValueError: invalid literal" in (of_task[1].exc_text or "")
    assert len(shop.pool) == 1


async def test_what_a_process_prints_goes_where_the_worker_prints(
    capfd: pytest.CaptureFixture[str],
) -> None:
    async with handlers() as fresh:
        await fresh.run("speak")
        printed = capfd.readouterr()
    assert printed.out == "said aloud\n"
    assert "and to the other stream\n" in printed.err


async def test_a_context_works_in_a_process(shop: Handlers) -> None:
    run, running = shop.begin("report")
    last = {"done": 1000, "total": 1000, "message": "done"}
    await eventually(lambda: last in shop.told.progressed, seconds=60)
    trace("that will do")
    assert (await running).value == f"{run.task.id} True True"
    assert shop.told.renewed == 1
    assert len(shop.told.progressed) < 500  # the latest, now and then
    assert (await shop.run("renew")).value == "renewed"
    assert shop.told.renewed == 2


async def test_a_thread_left_behind_does_not_speak_for_the_next_task(
    shop: Handlers, tmp_path: Path
) -> None:
    speak_now = tmp_path / "speak-now"
    await shop.run("leave_a_thread", signal_file=str(speak_now))
    run, running = shop.begin("poll")
    await eventually(lambda: bool(pids()), seconds=60)
    speak_now.touch()
    await eventually(lambda: "thread: the task has ended" in traced(), seconds=60)
    assert (shop.told.progressed, shop.told.renewed) == ([], 0)
    run.stop(StopReason.CANCELLED)
    await running


async def test_a_heartbeat_tells_a_handler_that_its_lease_is_lost(shop: Handlers) -> None:
    shop.told = Told(Stopped("the lease is lost"))
    for kind in ("report", "renew"):  # a function, a coroutine
        error = (await shop.run(kind)).error
        assert isinstance(error, Reported)
        assert error.recorded["type"] == "Stopped"
        assert error.recorded["message"] == "the lease is lost"


async def test_a_heartbeat_that_finds_no_database_fails_as_one(shop: Handlers) -> None:
    shop.told = Told(DatabaseUnavailable("no answer"))
    error = (await shop.run("renew")).error
    assert isinstance(error, Reported)
    assert error.recorded["message"] == "DatabaseUnavailable: no answer"
