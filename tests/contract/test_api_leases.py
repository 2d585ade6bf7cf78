"""The worker protocol: claims, ends of attempts, and what is recorded of them."""

from typing import Any
from uuid import UUID

import aiohttp
import pytest

from tests.support import ledger, storage
from tests.support.http import ask, enqueue
from tests.support.http_worker import HttpWorker, lease
from tidemill.models import TaskType
from tidemill.states import Status
from tidemill.store import Store

ERROR = {"type": "ValueError", "message": "no"}


async def status_of(store: Store, task: Any) -> Status:
    found = await store.tasks.get(UUID(task["task_id"]))
    assert found is not None
    return found.status


async def test_a_task_is_claimed_run_and_recorded(
    http: aiohttp.ClientSession, store: Store
) -> None:
    made = await enqueue(http, payload={"to": "ada"}, headers={"traceparent": "x"}, name="n")
    worker = await HttpWorker.register(http, name="go-1", slots=5, queues=["default"])
    [task] = await worker.claim()
    expected = {
        "task_id": made.json["id"], "type": "t", "name": "n", "queue": "default",
        "payload": {"to": "ada"}, "headers": {"traceparent": "x"}, "attempt": 1,
        "retry_count": 0, "max_retries": 3, "timeout_seconds": 300, "lease_seconds": 30,
    }  # fmt: skip
    assert task.items() >= expected.items()
    [listed] = (await ask(http, "GET", "/api/workers")).json["workers"]
    assert (listed["name"], listed["slots"], listed["running"]) == ("go-1", 5, 1)
    assert await worker.end("complete", [task], result={"sent": True}) == [True]
    ended = (await ask(http, "GET", f"/api/tasks/{task['task_id']}")).json
    assert (ended["status"], ended["result"]) == ("succeeded", {"sent": True})
    assert (ended["worker_id"], ended["started_at"] is not None) == (worker.id, True)
    assert (await ledger.balance(store))["succeeded"] == 1
    text = (await ask(http, "GET", "/metrics")).body.decode()
    assert "\ntidemill_api_claimed_tasks_total 1.0\n" in text
    assert 'tidemill_api_reported_ends_total{end="complete",recorded="true"} 1.0\n' in text
    assert "\ntidemill_api_waiting_claims 0.0\n" in text


async def test_a_failure_is_retried_by_the_task_s_own_policy(
    http: aiohttp.ClientSession, store: Store
) -> None:
    retry = {"policy": "fixed", "base_seconds": 600}
    await enqueue(http, retry=retry, max_retries=1)
    worker = await HttpWorker.register(http)
    tasks = await worker.claim()
    assert await worker.end("fail", tasks, error=ERROR) == [True]
    again = await store.tasks.get(UUID(tasks[0]["task_id"]))
    assert again is not None
    assert (again.status, again.retry_count) == (Status.SCHEDULED, 1)
    assert again.last_error == {**ERROR, "traceback": ""}
    [attempt] = await storage.attempts(store.db, again.id)
    assert 450 <= (attempt["run_at"] - attempt["finished_at"]).total_seconds() <= 750
    await store.acts.retry([again.id])
    [second] = await worker.claim()
    assert second["attempt"] == 2
    assert await worker.end("fail", [second], error=ERROR) == [True]
    assert await status_of(store, second) is Status.FAILED
    assert (await ledger.balance(store))["failed"] == 1


async def test_a_worker_may_say_when_to_retry_or_that_nothing_helps(
    http: aiohttp.ClientSession, store: Store
) -> None:
    for _ in range(2):
        await enqueue(http)
    worker = await HttpWorker.register(http)
    later, never = await worker.claim()
    assert await worker.end("fail", [later], error=ERROR, after=3600) == [True]
    assert await worker.end("fail", [never], error=ERROR, retry=False) == [True]
    [attempt] = await storage.attempts(store.db, UUID(later["task_id"]))
    assert (attempt["run_at"] - attempt["finished_at"]).total_seconds() == 3600
    assert await status_of(store, never) is Status.FAILED
    await ledger.balance(store)


async def test_what_is_released_or_snoozed_is_not_charged(
    http: aiohttp.ClientSession, store: Store
) -> None:
    for _ in range(2):
        await enqueue(http)
    worker = await HttpWorker.register(http)
    back, later = await worker.claim()
    assert await worker.end("release", [back]) == [True]
    assert await worker.end("snooze", [later], seconds=60) == [True]
    [again] = await worker.claim()
    assert (again["task_id"], again["attempt"]) == (back["task_id"], 1)
    snoozed = await store.tasks.get(UUID(later["task_id"]))
    assert snoozed is not None
    assert (snoozed.status, snoozed.retry_count) == (Status.SCHEDULED, 0)
    await ledger.balance(store)


ENDS: dict[str, dict[str, Any]] = {
    "complete": {"result": 1}, "fail": {"error": ERROR}, "release": {}, "snooze": {"seconds": 60},
}  # fmt: skip


@pytest.mark.parametrize("how", ENDS)
async def test_the_same_report_twice_is_recorded_once_and_answered_alike(
    http: aiohttp.ClientSession, store: Store, how: str
) -> None:
    await enqueue(http)
    worker = await HttpWorker.register(http)
    tasks = await worker.claim()
    for _ in range(3):
        assert await worker.end(how, tasks, **ENDS[how]) == [True]
    for other in ENDS.keys() - {how}:
        assert await worker.end(other, tasks, **ENDS[other]) == [False]
    assert len(await storage.attempts(store.db, UUID(tasks[0]["task_id"]))) == 1
    await ledger.balance(store)


async def test_a_stale_token_records_nothing_and_costs_its_batch_nothing(
    http: aiohttp.ClientSession, store: Store
) -> None:
    for _ in range(2):
        await enqueue(http)
    late, other = await HttpWorker.register(http), await HttpWorker.register(http)
    lost, kept = await late.claim()
    await storage.expire_leases(store.db, UUID(lost["task_id"]))
    await store.upkeep.recover(10, 3)
    [taken] = await other.claim()
    assert taken["token"] > lost["token"]
    told = await late.extend([lost, kept])
    assert [each["held"] for each in told["leases"]] == [False, True]
    for how, said in ENDS.items():
        assert await late.end(how, [lost], **said) == [False]
    nobody = {"task_id": "ffffffff-ffff-ffff-ffff-ffffffffffff", "token": 2**63 - 1}
    assert await late.end("complete", [lost, kept, nobody]) == [False, True, False]
    assert await status_of(store, taken) is Status.RUNNING
    assert await other.end("complete", [taken]) == [True]
    assert (await ledger.balance(store))["succeeded"] == 2


async def test_a_report_after_the_lease_ran_out_is_refused_though_the_outcome_is_the_same(
    http: aiohttp.ClientSession, store: Store
) -> None:
    await enqueue(http, max_retries=0)
    worker = await HttpWorker.register(http)
    tasks = await worker.claim()
    await storage.expire_leases(store.db)
    await store.upkeep.recover(10, 3)
    assert await status_of(store, tasks[0]) is Status.FAILED
    assert await worker.end("fail", tasks, error=ERROR) == [False]


async def test_a_cancelled_task_is_told_and_its_release_ends_it(
    http: aiohttp.ClientSession, store: Store
) -> None:
    await enqueue(http)
    worker = await HttpWorker.register(http)
    tasks = await worker.claim()
    told = await worker.extend(tasks)
    assert told["leases"][0]["cancel_requested"] is False
    cancel = await ask(http, "POST", f"/api/tasks/{tasks[0]['task_id']}/cancel")
    assert cancel.status == 202
    told = await worker.extend(tasks)
    assert told["leases"][0]["held"] is told["leases"][0]["cancel_requested"] is True
    assert await worker.end("release", tasks) == [True]
    assert await worker.end("release", tasks) == [True]
    assert await status_of(store, tasks[0]) is Status.CANCELLED
    assert (await ledger.balance(store))["cancelled"] == 1


async def test_an_extension_is_the_heartbeat_of_leases_and_worker(
    http: aiohttp.ClientSession, store: Store
) -> None:
    await enqueue(http)
    worker = await HttpWorker.register(http)
    tasks = await worker.claim(lease_seconds=60)
    assert tasks[0]["lease_seconds"] == 60
    past = "statement_timestamp() - interval '1 hour'"
    await store.db.execute(f"UPDATE tidemill.workers SET seen_at = {past}")  # noqa: S608 - ours
    told = await worker.extend(tasks, lease_seconds=900)
    assert (told["registered"], told["draining"], told["released"]) == (True, False, 0)
    left = "SELECT date_part('epoch', locked_until - statement_timestamp()) FROM tidemill.leases"
    assert 800 < await store.db.fetchval(left) <= 900
    [listed] = await store.listing.workers()
    assert listed.seen_seconds < 1000


async def test_progress_comes_with_an_extension_and_is_shown_while_the_task_runs(
    http: aiohttp.ClientSession,
) -> None:
    made = await enqueue(http)
    worker = await HttpWorker.register(http)
    [task] = await worker.claim()
    stale = {**task, "token": task["token"] + 1000}
    for each, done in ((task, 3), (stale, 9)):
        said = {**lease(each), "progress": {"done": done, "total": 10, "message": "thumbnails"}}
        body = {"worker_id": worker.id, "leases": [said]}
        assert (await ask(http, "POST", "/api/leases/extend", json=body)).status == 200
    shown = (await ask(http, "GET", f"/api/tasks/{made.json['id']}")).json
    assert shown["progress"] == {"done": 3.0, "total": 10.0, "message": "thumbnails"}


async def test_tasks_of_other_types_go_back_uncharged(
    http: aiohttp.ClientSession, store: Store
) -> None:
    for kind in ("mine", "other", "mine"):
        await enqueue(http, type=kind)
    worker = await HttpWorker.register(http)
    tasks = await worker.claim(types=["mine", "unheard-of"])
    assert [task["type"] for task in tasks] == ["mine", "mine"]
    [row] = await store.db.fetch("SELECT outcome, error FROM tidemill.attempts")
    assert row["outcome"] == "snoozed"
    assert "UnknownType" in row["error"]
    assert (await ledger.balance(store))["scheduled"] == 1


async def test_limits_pauses_and_paused_types_hold(
    http: aiohttp.ClientSession, store: Store
) -> None:
    await store.types.register([TaskType(name="stopped")], app="a")
    await store.types.pause("stopped")
    await ask(http, "PUT", "/api/queues/few", json={"max_running": 2})
    for queue, kind in (("few", "t"), ("few", "t"), ("few", "t"), ("q", "t"), ("q", "stopped")):
        await enqueue(http, queue=queue, type=kind)
    await store.queues.pause("q")
    worker = await HttpWorker.register(http)
    assert await worker.claim("q") == []
    running = await worker.claim("few")
    assert len(running) == 2
    assert await worker.claim("few") == []
    await worker.end("complete", running[:1])
    assert len(await worker.claim("few", wait=60)) == 1
    await ask(http, "POST", "/api/queues/q/resume")
    assert [task["type"] for task in await worker.claim("q", wait=60)] == ["t"]
    await ledger.balance(store)


async def test_errors_are_cut_and_without_secrets(
    http: aiohttp.ClientSession, store: Store
) -> None:
    await enqueue(http)
    worker = await HttpWorker.register(http)
    tasks = await worker.claim()
    message = "cannot reach postgres://me:hunter2hunter2@db/x " + "x" * 50_000
    error = {"type": "E", "message": message, "traceback": "y" * 50_000 + " end"}
    assert await worker.end("fail", tasks, error=error) == [True]
    found = await store.tasks.get(UUID(tasks[0]["task_id"]))
    assert found is not None
    assert found.last_error is not None
    recorded = found.last_error
    assert "hunter2" not in recorded["message"]
    assert (len(recorded["message"]), len(recorded["traceback"])) == (2000, 4000)
    assert recorded["traceback"].endswith(" end")


async def test_ends_of_a_thousand_tasks_in_one_request(
    http: aiohttp.ClientSession, store: Store
) -> None:
    await storage.enqueue(store, 1000)
    worker = await HttpWorker.register(http, slots=1000)
    tasks = await worker.claim(limit=1000)
    assert len(tasks) == 1000
    assert await worker.end("complete", tasks) == [True] * 1000
    assert await worker.end("complete", tasks) == [True] * 1000
    assert (await ledger.balance(store))["succeeded"] == 1000
