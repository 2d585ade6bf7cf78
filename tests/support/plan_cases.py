"""The calls of statements whose plans are tested on full tables, and why the others are not."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from tests.support.full import BATCH, QUEUES, Case, Sample
from tidemill.models import NewTask
from tidemill.store.leases import Range
from tidemill.store.rules import MAX_PAYLOAD_BYTES
from tidemill.store.tasks import enqueue_arguments

NOBODY: Final = UUID("01a20000-0000-7000-8000-000000000000")


def _one(ids: object) -> UUID:
    found = list(ids) if isinstance(ids, list) else []
    return found[0] if found else NOBODY


def _hour_ago() -> datetime:
    return datetime.now(UTC) - timedelta(hours=1)


def _claim(
    *,
    near: Sequence[Range] = (),
    whole: Sequence[int] = (),
    guarded: Sequence[int] = (),
    epoch: int = 1,
    limited: bool = False,
) -> Case:
    ranges = [
        [each.queue_id for each in near],
        [each.priority for each in near],
        [each.lane for each in near],
        [each.least_seq for each in near],
        [each.beyond for each in near],
    ]
    return Case(
        "claim",
        lambda _: [1, epoch, BATCH, 30.0, *ranges, list(whole), list(guarded), limited],
    )


def _known(least: int) -> list[Range]:
    """Return where the hints look in a queue whose priorities 2 and 0 were claimed from."""
    return [
        Range(1, 32768, None, 0, beyond=2),
        Range(1, 2, 0, 0),
        Range(1, 2, 1, least),
        Range(1, 2, None, 0, beyond=0),
        Range(1, 0, 0, 0),
        Range(1, 0, 1, least),
        Range(1, 0, None, 0, beyond=-32769),
    ]


def _finish(outcome: str) -> Case:
    def arguments(sample: Sample) -> list[object]:
        count = len(sample.leased)
        return [sample.leased, sample.tokens, [outcome] * count, [1.0] * count, None, None, None]

    return Case("finish", arguments)


def _enqueue(*, keys: bool) -> Case:
    def arguments(sample: Sample) -> Sequence[object]:
        tasks = [
            NewTask(type="t", queue="q1", idempotency_key=f"new{n}" if keys else None)
            for n in range(len(sample.ready) or 1)
        ]
        return enqueue_arguments(tasks, "accept", MAX_PAYLOAD_BYTES, create_queues=True)

    return Case("enqueue", arguments)


_ALL: Final = list(range(1, QUEUES + 1))

CASES: Final[Mapping[str, Case]] = {
    "claim near the floor": _claim(near=_known(500_000)),
    "claim between priorities": _claim(near=_known(2_000_000)),
    "claim whole queues": _claim(whole=_ALL),
    "claim of starved tasks": _claim(guarded=_ALL),
    "claim of a refused worker": _claim(whole=_ALL, epoch=2),
    "enqueue": _enqueue(keys=False),
    "enqueue with keys": _enqueue(keys=True),
    "extend": Case("extend", lambda s: [s.leased, s.tokens, 30.0]),
    "progress": Case("progress", lambda s: [s.leased, s.tokens, ["1"] * len(s.leased)]),
    "finish with success": _finish("succeeded"),
    "finish for good": _finish("failed"),
    "finish and give back": _finish("released"),
    "recover": Case("recover", lambda _: [BATCH, 3, None]),
    "promote": Case("promote", lambda _: [BATCH, None]),
    "task that is ready": Case("task", lambda s: [_one(s.ready)]),
    "task that is scheduled": Case("task", lambda s: [_one(s.scheduled)]),
    "task that runs": Case("task", lambda s: [_one(s.leased)]),
    "task that is done": Case("task", lambda s: [_one(s.done)]),
    "attempts": Case("attempts", lambda s: [_one(s.done), _hour_ago()]),
    "held": Case("held", lambda s: [s.leased, s.tokens]),
    "outcomes_recorded": Case("outcomes_recorded", lambda s: [s.leased, s.tokens, _hour_ago()]),
    "tokens_recorded": Case("tokens_recorded", lambda s: [s.leased, s.tokens, _hour_ago()]),
    "worker_expire": Case("worker_expire", lambda _: [[3]]),
    "keys_expire": Case("keys_expire", lambda _: [BATCH]),
    "fold": Case("fold", lambda _: [BATCH]),
    "limits": Case("limits", lambda _: [_ALL]),
    "park": Case("park", lambda s: [s.leased, s.tokens, ["t"] * len(s.leased)]),
    "unpark": Case("unpark", lambda _: ["t", BATCH]),
    "cancel what waits": Case("cancel", lambda s: [[*s.ready, *s.scheduled], "me"]),
    "cancel what runs": Case("cancel", lambda s: [s.leased, "me"]),
    "replay": Case("replay", lambda s: [[*s.scheduled, *s.dead], "me", None]),
    "delete": Case("delete", lambda s: [[*s.ready, *s.dead], None]),
    "reprioritise": Case("reprioritise", lambda s: [[*s.ready, *s.scheduled], 9, "me"]),
    "move": Case("move", lambda s: [[*s.ready, *s.scheduled], 2, "me"]),
    "statuses": Case("statuses", lambda s: [[*s.ready, *s.leased, *s.done]]),
    "ended": Case("ended", lambda s: [[*s.ready, *s.leased, *s.done, NOBODY]]),
    "watched": Case("watched", lambda s: [[*s.ready, *s.leased, *s.done, NOBODY]]),
    "bodies_lock": Case("bodies_lock", lambda s: [s.ready]),
    "bodies_share": Case("bodies_share", lambda s: [s.dead]),
    "tasks_select": Case(
        "tasks_select",
        lambda _: [BATCH, None, ["queued", "scheduled"], "q1", *[None] * 5, 10 * BATCH, None],
    ),
    "tasks_select of queues that may be touched": Case(
        "tasks_select",
        lambda _: [BATCH, None, ["queued", "scheduled"], *[None] * 6, 10 * BATCH, ["q1", "q2"]],
    ),
    "dead_letters": Case("dead_letters", lambda _: [*[None] * 5, BATCH, None]),
    "dead letters of a queue": Case("dead_letters", lambda _: ["q1", *[None] * 4, BATCH, None]),
    "dead letters that may be seen": Case(
        "dead_letters", lambda _: [*[None] * 5, BATCH, ["q1", "q2"]]
    ),
    "unknown_returns": Case("unknown_returns", lambda s: [s.leased, _hour_ago()]),
    "worker_leases": Case("worker_leases", lambda s: [3, s.tokens]),
    "worker_cancels": Case("worker_cancels", lambda _: [3]),
    "snapshots": Case("snapshots", lambda _: [1000, 60.0, ["default"], [5.0]]),
    "stats": Case("stats", lambda _: [60.0, None]),
    "stats of queues that may be seen": Case("stats", lambda _: [60.0, ["q1", "q2"]]),
}

_SMALL = "a table of some rows: queues, limits, types, workers or schedules"

NOT_TESTED: Final[Mapping[str, str]] = {
    "buckets_expire": "statistics: some thousand rows, by primary key, once a minute",
    "connections_free": "the server's own figures",
    "decision_record": "one insert",
    "decisions_expire": "a decision is written only when it changes; kept a week",
    "fold_lock": "an advisory lock",
    "notify": "no table",
    "recover_notify": "no table",
    "partitions_ensure": "the catalogue",
    "pod_workers": _SMALL + "; then as worker_expire",
    "term_draw": "one row; " + _SMALL,
    "workers_drain": _SMALL + "; then as worker_expire",
    **dict.fromkeys(
        (
            "limits_draw",
            "limits_lock",
            "queue",
            "queue_configure",
            "queue_delete",
            "queue_ensure",
            "queue_holds",
            "queue_id",
            "queue_lock",
            "queue_pause",
            "queue_write",
            "type_delete",
            "type_pause",
            "queue_disown",
            "queue_purge",
            "queue_purged",
            "queues_purging",
            "queues_seen",
            "queue_fields",
            "queue_limits",
            "queue_limits_settle",
            "queues",
            "types",
            "types_register",
            "worker_epoch",
            "worker_leave",
            "workers_cordon",
            "workers_lock",
            "workers_unmark",
            "worker_predecessors",
            "worker_process",
            "worker_queues",
            "worker_register",
            "worker_seen",
        ),
        _SMALL,
    ),
    **dict.fromkeys(
        ("cancel_notify", "lock_timeout", "now", "queue_delete_lock", "queue_hold"), "no table"
    ),
    "worker_attempts": "for tests of tasks, which have few: reads them all",
    "remaining": "for a worker that has nothing to do and may end; stops at what it finds",
    "queue_forget": "the keys of a queue that is deleted",
    "queue_limits_leases": "all leases, once when a queue gets limits",
    **dict.fromkeys(
        (
            "schedule_failed",
            "schedule_lock",
            "schedule_slots",
            "schedules_due",
            "schedules_due_names",
            "schedules_fired",
            "slots_expire",
            "slots_known",
        ),
        "tests/postgres/test_schedules_plans.py looks at it",
    ),
    **dict.fromkeys(
        ("expire_waiting", "thin", "thin_dead_letters"),
        "tests/postgres/test_retention_plans.py looks at it",
    ),
    **dict.fromkeys(
        ("attempts_day_drop", "day_drop", "parents_analyze"),
        "all of a day or of the tables, once a day, in a function that waits for nobody",
    ),
    **dict.fromkeys(
        (
            "retention_again",
            "retention_begin",
            "retention_keeps",
            "retention_mark",
            "retention_move",
        ),
        "one row for each pass of retention, by primary key",
    ),
    **dict.fromkeys(
        ("tasks_list", "workers_list"), "tests/postgres/test_store_listing_plans.py looks at it"
    ),
    **dict.fromkeys(
        ("decisions", "decisions_unowned", "trends"),
        "tests/postgres/test_trends_plans.py looks at it",
    ),
    "partition_days": "the catalogue",
    **dict.fromkeys(
        (
            "doctor_connections",
            "doctor_indexes",
            "doctor_login",
            "doctor_partitions",
            "doctor_prepared",
            "doctor_producers",
            "doctor_server",
            "doctor_sessions",
            "doctor_slots",
            "doctor_standbys",
            "doctor_tables",
            "doctor_wraparound",
        ),
        "the catalogue, for a person, for 5 s at most",
    ),
    **dict.fromkeys(
        (
            "doctor_bodies",
            "doctor_dead_letters",
            "doctor_leases",
            "doctor_queues",
            "doctor_schedules",
            "doctor_statistics",
            "doctor_types",
            "doctor_workers",
        ),
        "for a person, for 5 s at most: tests/postgres/test_doctor_plans.py",
    ),
    "patience": "no table",
    "enqueue_many": "a function's: its statements are those of `enqueue`",
    **dict.fromkeys(("schedule_delete", "schedule_pause", "schedule_put", "schedules"), _SMALL),
    "workers_expire": _SMALL + "; one look into leases_worker for each that left",
}
"""Statements without a case, each with the reason."""
