"""A token that is limited to queues touches and sees nothing of others, on whatever route."""

from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from tests.contract.conftest import Start
from tests.support import postgres
from tests.support.http import Answer
from tests.support.tokens import call, entry, text_of
from tidemill_api.auth.scopes import Limit
from tidemill_api.routes import ENDPOINTS

TOKENS = text_of(
    entry("root", "admin"),
    entry("mail", "admin", queues=["mail"]),
    entry("letters", "enqueue", queues=["mail", "default"]),
)


@dataclass
class World:
    """A server whose queues `mail` and `bank` have the same of everything."""

    http: aiohttp.ClientSession
    tasks: dict[str, str]
    dead: dict[str, str]
    held: dict[str, dict[str, Any]]
    workers: dict[str, int]

    async def mail(self, method: str, path: str, **options: Any) -> Answer:
        """Ask as who is for `mail` only."""
        return await call(self.http, "mail", method, path, **options)

    async def root(self, method: str, path: str, **options: Any) -> Answer:
        """Ask as who may do all."""
        return await call(self.http, "root", method, path, **options)


async def _filled(http: aiohttp.ClientSession) -> World:
    world = World(http, {}, {}, {}, {})
    for queue in ("mail", "bank"):
        said = {"name": queue, "queues": [queue], "slots": 9}
        made = await world.root("POST", "/api/workers", json=said)
        world.workers[queue] = made.json["worker_id"]
        for kind in ("dead", "held"):
            await world.root("POST", "/api/tasks", json={"type": kind, "queue": queue})
            claim = {"worker_id": world.workers[queue]}
            claimed = await world.root("POST", f"/api/queues/{queue}/claim", json=claim)
            [task] = claimed.json["tasks"]
            lease = {"task_id": task["task_id"], "token": task["token"]}
            if kind == "held":
                world.held[queue] = lease
                continue
            failed = {**lease, "error": {"type": "E", "message": "m"}, "retry": False}
            await world.root("POST", "/api/leases/fail", json={"leases": [failed]})
            world.dead[queue] = lease["task_id"]
        waiting = {"type": "wait", "queue": queue, "idempotency_key": "k"}
        world.tasks[queue] = (await world.root("POST", "/api/tasks", json=waiting)).json["id"]
        schedule = {"cron": "0 3 * * *", "type": "t", "queue": queue}
        await world.root("PUT", f"/api/schedules/{queue}", json=schedule)
    return world


@pytest.fixture
async def world(start_api: Start, database_url: str) -> World:
    http = await start_api(postgres.settings_of(database_url, tokens=TOKENS))
    return await _filled(http)


async def test_a_task_of_another_queue_is_not_there(world: World) -> None:
    for ids in (world.tasks, world.dead):
        for method, path in (
            ("GET", "/api/tasks/{}"),
            ("GET", "/api/tasks/{}?wait=0.1"),
            ("GET", "/api/tasks/{}/history"),
            ("POST", "/api/tasks/{}/cancel"),
            ("POST", "/api/tasks/{}/retry"),
            ("DELETE", "/api/tasks/{}"),
            ("POST", "/api/dead-letters/{}/replay"),
            ("DELETE", "/api/dead-letters/{}"),
        ):
            answer = await world.mail(method, path.format(ids["bank"]))
            assert (answer.status, answer.json["type"]) == (
                404,
                "urn:tidemill:problem:task-not-found",
            )
    assert (await world.root("GET", f"/api/tasks/{world.tasks['bank']}")).json["status"] == "queued"
    assert (await world.root("GET", f"/api/tasks/{world.dead['bank']}")).json["status"] == "failed"
    assert (await world.mail("GET", f"/api/tasks/{world.tasks['mail']}")).status == 200
    assert (await world.mail("POST", f"/api/tasks/{world.dead['mail']}/retry")).status == 200


async def test_a_queue_that_is_named_and_is_another_is_403_and_named(world: World) -> None:
    bulk = {"filter": {"queue": "bank"}, "dry_run": True}
    asked: list[tuple[str, str, Any]] = [
        ("POST", "/api/tasks", {"type": "t", "queue": "bank"}),
        ("POST", "/api/tasks/batch", [{"type": "t", "queue": "bank"}]),
        ("GET", "/api/tasks?queue=bank", None),
        ("GET", "/api/dead-letters?queue=bank", None),
        ("GET", "/api/queues/bank", None),
        ("PUT", "/api/queues/bank", {}),
        ("PUT", "/api/queues/unborn", {}),
        ("DELETE", "/api/queues/bank", None),
        ("POST", "/api/queues/bank/pause", None),
        ("POST", "/api/queues/bank/resume", None),
        ("POST", "/api/queues/bank/claim", {"worker_id": world.workers["mail"]}),
        ("POST", "/api/workers", {"name": "w", "queues": ["mail", "bank"]}),
        ("POST", "/api/workers", {"name": "w", "queues": ["*"]}),
        *(("POST", f"/api/tasks/{act}", bulk) for act in ("cancel", "retry", "delete")),
        ("POST", "/api/tasks/reprioritise", {**bulk, "priority": 1}),
        ("POST", "/api/tasks/move", {**bulk, "queue": "mail"}),
        ("POST", "/api/tasks/move", {"filter": {"type": "wait"}, "queue": "bank"}),
        *(("POST", f"/api/dead-letters/{act}", bulk) for act in ("replay", "purge")),
        ("PUT", "/api/schedules/new", {"cron": "0 3 * * *", "type": "t", "queue": "bank"}),
        ("PUT", "/api/schedules/bank", {"cron": "0 3 * * *", "type": "t", "queue": "mail"}),
    ]
    for method, path, body in asked:
        answer = await world.mail(method, path, **({} if body is None else {"json": body}))
        assert (answer.status, answer.json["type"]) == (403, "urn:tidemill:problem:forbidden"), path
    assert (await world.root("GET", "/api/queues/unborn")).status == 404
    assert not (await world.root("GET", "/api/queues/bank")).json["paused"]


async def test_what_is_about_all_queues_is_403(world: World) -> None:
    for method, path in (
        ("GET", "/metrics"),
        ("PUT", "/api/task-types/t"),
        ("DELETE", "/api/task-types/t"),
        ("POST", "/api/task-types/t/pause"),
        ("POST", "/api/task-types/t/resume"),
    ):
        answer = await world.mail(method, path)
        assert answer.status == 403, path
        assert "all queues" in answer.json["detail"]


async def test_lists_and_figures_have_only_what_is_visible(world: World) -> None:
    for path, key, field in (
        ("/api/tasks", "tasks", "queue"),
        ("/api/tasks?status=failed", "tasks", "queue"),
        ("/api/dead-letters", "dead_letters", "queue"),
        ("/api/queues", "queues", "name"),
        ("/api/schedules", "schedules", "name"),
        ("/api/workers", "workers", "name"),
        ("/api/stats", "queues", "queue"),
    ):
        ours = [each[field] for each in (await world.mail("GET", path)).json[key]]
        assert set(ours) == {"mail"}, path
        everything = [each[field] for each in (await world.root("GET", path)).json[key]]
        assert set(everything) - {"default"} == {"mail", "bank"}, path
    figures = (await world.mail("GET", "/api/stats")).json
    assert [figures[name] for name in ("total_tasks", "running_tasks", "failed_tasks")] == [3, 1, 1]


async def test_a_worker_on_all_queues_is_seen_with_what_it_holds_of_ours(world: World) -> None:
    said = {"name": "all", "queues": ["*"], "slots": 9}
    worker = (await world.root("POST", "/api/workers", json=said)).json["worker_id"]
    await world.root("POST", "/api/queues/bank/claim", json={"worker_id": worker})
    listed = {
        token: {each["id"]: each for each in (await ask("GET", "/api/workers")).json["workers"]}
        for token, ask in (("mail", world.mail), ("root", world.root))
    }
    assert listed["mail"][worker]["running"] == 0
    assert listed["root"][worker]["running"] == 1
    assert listed["mail"].keys() == {worker, world.workers["mail"]}


async def test_an_act_by_filter_reaches_only_visible_tasks(world: World) -> None:
    everything: dict[str, Any] = {"filter": {}, "all": True}
    answer = await world.mail("POST", "/api/tasks/reprioritise", json={**everything, "priority": 9})
    assert (answer.json["matched"], answer.json["changed"]) == (1, 1)
    assert (await world.mail("POST", "/api/dead-letters/purge", json=everything)).json[
        "changed"
    ] == 1
    assert (await world.mail("POST", "/api/tasks/delete", json=everything)).json["changed"] == 1
    left = await world.root("GET", "/api/tasks?queue=bank")
    assert {each["id"]: each["priority"] for each in left.json["tasks"]}[world.tasks["bank"]] != 9
    assert len(left.json["tasks"]) == 3


async def test_leases_and_workers_of_other_queues_are_not_there(world: World) -> None:
    lease = world.held["bank"]
    for act, more in (
        ("complete", {"result": 1}),
        ("fail", {"error": {"type": "E", "message": "m"}}),
        ("release", {}),
        ("snooze", {"seconds": 60}),
    ):
        answer = await world.mail("POST", f"/api/leases/{act}", json={"leases": [lease | more]})
        assert [each["held"] for each in answer.json["leases"]] == [False], act
    both = [world.held["bank"], world.held["mail"]]
    beat = {"worker_id": world.workers["mail"], "leases": both}
    answer = await world.mail("POST", "/api/leases/extend", json=beat)
    assert [each["held"] for each in answer.json["leases"]] == [False, True]
    stranger: dict[str, Any] = {
        "worker_id": world.workers["bank"],
        "leases": [],
        "release_others": True,
    }
    told = (await world.mail("POST", "/api/leases/extend", json=stranger)).json
    assert (told["registered"], told["released"]) == (False, 0)
    claim = {"worker_id": world.workers["bank"]}
    assert (await world.mail("POST", "/api/queues/mail/claim", json=claim)).status == 404
    assert (await world.mail("DELETE", f"/api/workers/{world.workers['bank']}")).status == 404
    held = await world.root("GET", f"/api/tasks/{lease['task_id']}")
    assert held.json["status"] == "running"
    complete = {"leases": [world.held["mail"] | {"result": 1}]}
    answer = await world.mail("POST", "/api/leases/complete", json=complete)
    assert [each["held"] for each in answer.json["leases"]] == [True]


async def test_a_schedule_of_another_queue_is_not_there(world: World) -> None:
    for method, end in (
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/pause"),
        ("POST", "/resume"),
        ("POST", "/run"),
        ("GET", "/slots"),
    ):
        assert (await world.mail(method, f"/api/schedules/bank{end}")).status == 404, end
        if method != "DELETE":
            assert (await world.mail(method, f"/api/schedules/mail{end}")).status in (200, 201), end
    assert (await world.root("GET", "/api/schedules/bank")).status == 200


async def test_a_types_queue_counts_and_is_the_one_that_was_allowed(world: World) -> None:
    await world.root("PUT", "/api/task-types/pay", json={"queue": "bank"})
    await world.root("PUT", "/api/task-types/send", json={"queue": "mail"})
    for path in ("/api/tasks", "/api/tasks/batch"):
        for kind, status in (("pay", 403), ("send", 201), ("other", 403)):
            body: Any = {"type": kind} if path == "/api/tasks" else [{"type": kind}]
            answer = await world.mail("POST", path, json=body)
            assert answer.status == status, (path, kind)
            if status == 403:
                assert answer.json["faults"][0]["field"].endswith("queue")
    for kind, status in (("pay", 403), ("send", 201), ("other", 201)):
        answer = await call(world.http, "letters", "POST", "/api/tasks", json={"type": kind})
        assert answer.status == status
    made = await world.mail(
        "PUT", "/api/schedules/sends", json={"cron": "0 3 * * *", "type": "send"}
    )
    assert (made.status, made.json["queue"]) == (201, "mail")


async def test_a_batch_names_each_task_that_it_may_not_enqueue_and_stores_none(
    world: World,
) -> None:
    tasks = [{"type": "t", "queue": queue} for queue in ("mail", "bank", "mail", "vault")]
    answer = await world.mail("POST", "/api/tasks/batch", json=tasks)
    assert (answer.status, answer.fields) == (403, ["tasks[1].queue", "tasks[3].queue"])
    assert (await world.root("GET", "/api/queues/vault")).status == 404


async def test_a_key_of_another_queue_is_another_key(world: World) -> None:
    task = {"type": "wait", "queue": "mail", "idempotency_key": "k"}
    answer = await world.mail("POST", "/api/tasks", json=task)
    assert (answer.status, answer.json["id"]) == (200, world.tasks["mail"])


def test_every_route_that_hands_limits_on_is_in_a_test_here() -> None:
    """A new one that says HANDLER has to be added to these tests, and then here."""
    assert {each.name for each in ENDPOINTS if each.limit is Limit.HANDLER} - ELSEWHERE == KNOWN


KNOWN = {
    *("enqueueTask", "enqueueTasks", "listTasks", "getTask", "getTaskHistory"),
    *("cancelTask", "retryTask", "deleteTask", "cancelTasks", "retryTasks", "deleteTasks"),
    *("reprioritiseTasks", "moveTasks", "listDeadLetters", "replayDeadLetter"),
    *("deleteDeadLetter", "replayDeadLetters", "purgeDeadLetters", "listQueues"),
    *("listSchedules", "getSchedule", "putSchedule", "deleteSchedule", "pauseSchedule"),
    *("resumeSchedule", "runSchedule", "listScheduleSlots", "listWorkers", "registerWorker"),
    *("deleteWorker", "extendLeases", "completeLeases", "failLeases", "releaseLeases"),
    *("snoozeLeases", "getStats"),
}
ELSEWHERE = {"streamEvents", "getStatsHistory"}
"""Those of the tests of events and of the history of figures."""
