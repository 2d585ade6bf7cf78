"""A database with 1,000,000 ready and 1,000,000 scheduled tasks, for tests of query plans.

Each statement of interest is run on it three ways to come by a plan: planned for these values (as
through a pooler, where nothing is cached); cached for any values; cached while the tables
were empty and nobody has analysed them since, which is how a long-lived connection meets a queue
that filled up within a minute.
"""

# ruff: noqa: E501, S608 - SQL, of this file's own numbers

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

import asyncpg

from tests.support import plans, postgres
from tests.support.plans import Plan
from tidemill.address import connect_options, first_statements

Way = Literal["values", "cached", "cached while empty"]
WAYS: tuple[Way, ...] = ("values", "cached", "cached while empty")

READY, LEASED, LATER, DONE, DEAD = 1_000_000, 100_000, 1_000_000, 50_000, 50_000
QUEUES, WORKERS, PRIORITIES = 5, 20, 3
BATCH = 100
EXPIRED = LEASED // 100

_MADE, _LATER = READY + LEASED, READY + LEASED + LATER
_HOT = ("ready", "scheduled", "leases", "dead_letters", "idempotency_keys", "throughput_deltas")

# Task n has the queue 1 + n % 5, the priority n % 3, and was made on one of four days. Of the
# scheduled ones every tenth has a body: no statement here reads the others', and it saves time.
_FILL = f"""
INSERT INTO tidemill.queues (name) SELECT 'q' || n FROM generate_series(1, {QUEUES}) AS n;
INSERT INTO tidemill.workers (name, slots, queues, version, hostname, pid)
SELECT 'w', 1, '{{*}}', '0', 'h', n FROM generate_series(1, {WORKERS}) AS n;
CREATE TEMP TABLE days AS
SELECT d AS day, now() + (d - 1) * interval '1 day' AS at,
       substr(replace(tidemill.uuid_floor(now() + (d - 1) * interval '1 day')::text, '-', ''), 1, 12) AS prefix
  FROM generate_series(0, 3) AS d;
CREATE TEMP TABLE made AS
SELECT n, 1 + n % {QUEUES} AS queue_id, n % {PRIORITIES} AS priority, (prefix || lpad(to_hex(n), 20, '0'))::uuid AS id, at
  FROM generate_series(1, {_LATER + DONE + DEAD}) AS n JOIN days ON day = n % 4;
INSERT INTO tidemill.tasks (id, queue_id, type, priority, max_retries, timeout_seconds, created_at, payload, idempotency_key)
SELECT id, queue_id, 't', priority, 3, 300, at, '{{}}', 'k' || n
  FROM made WHERE n <= {_MADE} OR n % 10 = 0 OR n > {_LATER};
INSERT INTO tidemill.idempotency_keys
SELECT queue_id, 'k' || n, id, '', now() + interval '1 day' FROM made WHERE n > {READY} AND n <= {_MADE};
INSERT INTO tidemill.ready (task_id, queue_id, priority, lane, ready_at)
SELECT id, queue_id, priority, 1, now() - interval '1 hour' FROM made WHERE n <= {READY} ORDER BY n;
INSERT INTO tidemill.leases (task_id, lease_token, worker_id, locked_until, claimed_at, seq, queue_id, priority, retry_count, crash_count)
SELECT id, n, 1 + n % {WORKERS}, now() + CASE WHEN n % 100 = 0 THEN interval '-1 s' ELSE interval '1 h' END,
       now(), n, queue_id, priority, 0, 0
  FROM made WHERE n > {READY} AND n <= {_MADE};
INSERT INTO tidemill.scheduled (run_at, task_id, queue_id, priority)
SELECT now() + CASE WHEN n % 100 = 0 THEN interval '-1 s' ELSE interval '1 h' END, id, queue_id, priority
  FROM made WHERE n > {_MADE} AND n <= {_LATER};
INSERT INTO tidemill.attempts (task_id, token, queue_id, worker_id, attempt, finished_at, outcome, retry_count)
SELECT id, n, queue_id, 1, 1, at, CASE WHEN n <= {_LATER + DONE} THEN 'succeeded' ELSE 'failed' END, 0
  FROM made WHERE n > {_LATER};
INSERT INTO tidemill.dead_letters (task_id, queue_id, type, failed_at, retry_count, crash_count, error_type)
SELECT id, queue_id, 't', at, 3, 0, 'ValueError' FROM made WHERE n > {_LATER + DONE};
INSERT INTO tidemill.throughput_deltas (queue_id, enqueued, d_queued)
SELECT 1 + n % {QUEUES}, 1, 1 FROM generate_series(1, 10000) AS n;
DROP TABLE made, days;
"""


@dataclass(frozen=True)
class Sample:
    """Ids to ask for, {BATCH} of each, sorted, of all queues, priorities and days."""

    ready: Sequence[UUID]
    scheduled: Sequence[UUID]
    leased: Sequence[UUID]
    tokens: Sequence[int]
    dead: Sequence[UUID]
    done: Sequence[UUID]


@dataclass(frozen=True)
class Case:
    """One call of a statement. `arguments` come from the sample of the filled tables."""

    statement: str
    arguments: Callable[[Sample], Sequence[Any]]


class Full:
    """The database, and a connection for each way to come by a plan."""

    def __init__(self, url: str, cases: Mapping[str, Case]) -> None:
        """Fill the database at `url`, which is migrated and empty."""
        self._loop = asyncio.new_event_loop()
        self._url = url
        self._cases = cases
        self._connections: dict[Way, Any] = {}
        self._early: dict[str, Plan] = {}
        try:
            self._loop.run_until_complete(self._open())
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connections."""
        for connection in self._connections.values():
            self._loop.run_until_complete(connection.close())
        self._loop.close()

    def fetch(self, text: str) -> list[Any]:
        """Return what a query of the test's own finds."""
        return list(self._loop.run_until_complete(self._connections["values"].fetch(text)))

    def plan(self, way: Way, case: str) -> Plan:
        """Return how a case ran; what it did is undone."""
        if way == "cached while empty":
            return self._early[case]
        return self._loop.run_until_complete(self._run(way, self._cases[case]))

    async def _open(self) -> None:
        for way in WAYS:
            pooler = "transaction" if way == "values" else "none"
            settings = postgres.settings_of(self._url, database_pooler=pooler)
            options = connect_options(settings, application="tests") | {"command_timeout": 100}
            self._connections[way] = await asyncpg.connect(**options)
        filling = self._connections["values"]
        for table in _HOT:  # to analyse them is this file's to say
            await filling.execute(f"ALTER TABLE tidemill.{table} SET (autovacuum_enabled = off)")
        await self._prepare("cached while empty")
        await filling.execute(_FILL)
        self.sample = await _sampled(filling)
        for name, case in self._cases.items():
            self._early[name] = await self._run("cached while empty", case)
        await filling.execute("VACUUM ANALYZE")
        pooled = postgres.settings_of(self._url, database_pooler="transaction")
        for each in first_statements(pooled).split("; SET LOCAL ")[1:]:
            await filling.execute(f"SET {each}")
        await self._prepare("cached")

    async def _prepare(self, way: Way) -> None:
        """Plan each statement once, with arguments that name nothing."""
        nothing = Sample([], [], [], [], [], [])
        first = {case.statement: case for case in reversed(list(self._cases.values()))}
        for case in first.values():
            arguments = case.arguments(nothing)
            await plans.prepare(self._connections[way], case.statement, *arguments)

    async def _run(self, way: Way, case: Case) -> Plan:
        run = plans.explained if way == "values" else plans.executed
        return await run(self._connections[way], case.statement, *case.arguments(self.sample))


async def _sampled(connection: Any) -> Sample:
    async def ids(text: str) -> list[UUID]:
        rows = await connection.fetch(f"SELECT task_id FROM tidemill.{text} LIMIT {BATCH}")
        return sorted((row["task_id"] for row in rows), key=lambda each: each.bytes)

    held = await connection.fetch(
        f"SELECT task_id, lease_token FROM tidemill.leases WHERE worker_id = 3 AND locked_until > now() LIMIT {BATCH}"
    )
    held = sorted(held, key=lambda row: row["task_id"].bytes)
    return Sample(
        ready=await ids("ready WHERE seq > 500000"),
        scheduled=await ids(
            "scheduled s WHERE run_at > now() AND EXISTS (SELECT FROM tidemill.tasks t WHERE t.id = s.task_id)"
        ),
        leased=[row["task_id"] for row in held],
        tokens=[row["lease_token"] for row in held],
        dead=await ids("dead_letters"),
        done=await ids("attempts WHERE outcome = 'succeeded'"),
    )
