"""The database that is measured: filled, emptied, and asked what it did."""

import asyncio
import os
import platform
import time
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from bench import cpu, noop
from bench.measure import Sample
from bench.scripts import QUEUE
from tidemill.db import Database
from tidemill.settings import Settings

FILL_CHUNK = 5000
SETTLE_LOOKS = 500

_HISTORY = ("tasks", "attempts")
_TABLES = (
    *("ready", "scheduled", "leases", "dead_letters", "idempotency_keys"),
    *("throughput_deltas", "throughput", "workers"),
)
_SETTINGS = (
    "server_version",
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "autovacuum",
    "shared_buffers",
    "max_wal_size",
    "checkpoint_timeout",
    "wal_compression",
    "wal_sync_method",
)
# The bench's own statements are told from what is measured by this comment.
_OWN = "/* bench */"


@dataclass
class Target:
    """A scratch database. `pgbench` is the program's path, `url` carries the password."""

    url: str
    pgbench: str
    settings: Settings
    db: Database
    exact_statements: bool
    """Statements are counted by pg_stat_statements, else by the transactions of the database"""
    server_pid: int | None
    """The server's process, when it is our own"""

    keeps_history: bool = field(default=False, init=False)
    """What was completed before a run stays, as it does while a queue retains it"""
    _before: int = field(default=0, init=False)
    _asked: int = field(default=0, init=False)

    async def ask(self, statement: str, *args: object) -> list[tuple[object, ...]]:
        """Run a statement of the bench's own: it does not count as work."""
        self._asked += 1
        return [tuple(row) for row in await self.db.fetch(f"{_OWN} {statement}", *args)]

    async def number(self, statement: str, *args: object) -> int:
        """Return the single number that a statement of the bench's own yields."""
        return int(str((await self.ask(statement, *args))[0][0]))

    async def empty(self) -> None:
        """Remove all tasks and workers; the checkpoint keeps full-page images out of the run."""
        tables = _TABLES if self.keeps_history else (*_TABLES, *_HISTORY)
        await self.ask(f"TRUNCATE {', '.join(f'tidemill.{each}' for each in tables)}")
        await self.ask(
            "INSERT INTO tidemill.queues (name) VALUES ($1) ON CONFLICT (name) "
            "DO UPDATE SET paused = false",
            QUEUE,
        )
        await self.ask("CHECKPOINT")
        self._before = await self.number("SELECT nextval('tidemill.lease_tokens')")

    async def fill(self, tasks: int, kind: str = noop.TYPE) -> None:
        """Empty the target, then enqueue `tasks` no-op tasks."""
        await self.empty()
        await self.add(tasks, kind=kind)
        await self.ask("ANALYZE tidemill.ready, tidemill.tasks, tidemill.leases")

    async def add(self, tasks: int, *, delay: float | None = None, kind: str = noop.TYPE) -> None:
        """Enqueue `tasks` no-op tasks more, to run now or in `delay` seconds."""
        for done in range(0, tasks, FILL_CHUNK):
            count = min(FILL_CHUNK, tasks - done)
            await self.ask(FILL, count, kind, noop.PAYLOAD_TEXT, QUEUE, delay)

    async def ended(self) -> tuple[int, int]:
        """Return how many tasks have succeeded since it was emptied, and in how many attempts."""
        rows = await self.ask(
            "SELECT count(DISTINCT task_id) FILTER (WHERE outcome = 'succeeded'), count(*) "
            "FROM tidemill.attempts WHERE token > $1",
            self._before,
        )
        return int(str(rows[0][0])), int(str(rows[0][1]))

    async def tokens(self) -> int:
        """Return the newest token: how many claims there have been, in effect."""
        return await self.number("SELECT last_value FROM tidemill.lease_tokens")

    async def queue_id(self) -> int:
        """Return the id of the queue that is measured."""
        return await self.number("SELECT id FROM tidemill.queues WHERE name = $1", QUEUE)

    async def pause(self, *, paused: bool) -> None:
        """Pause the queue, or let it go and tell the workers."""
        await self.ask(
            "UPDATE tidemill.queues SET paused = $2 WHERE name = $1 "
            "RETURNING pg_notify('tidemill', name)",
            QUEUE,
            paused,
        )

    async def drained(self) -> bool:
        """Return whether nothing waits and nothing runs."""
        rows = await self.ask(
            "SELECT NOT EXISTS (SELECT FROM tidemill.leases) "
            "AND NOT EXISTS (SELECT FROM tidemill.ready)"
        )
        return bool(rows[0][0])

    @asynccontextmanager
    async def client(self) -> AsyncGenerator[Database]:
        """Yield a database as a process of Tidemill's has it, closed at the end."""
        db = Database.of(self.settings, application="bench-client")
        try:
            yield db
        finally:
            await db.close()

    @asynccontextmanager
    async def counted(self, tasks: int) -> AsyncGenerator[Sample]:
        """Count the server's work in the block, which must close its own sessions."""
        sample = Sample(tasks)
        if self.exact_statements:
            await self.ask("SELECT pg_stat_statements_reset()")
        before, lsn, asked = await self._statements(), await self._lsn(), self._asked
        yield sample
        asked = self._asked - asked
        sample.wal_bytes = await self._lsn() - lsn
        statements = await self._statements() - before
        sample.statements = statements if self.exact_statements else max(0, statements - asked - 1)

    @asynccontextmanager
    async def logged(self, sample: Sample) -> AsyncGenerator[None]:
        """Count only what the server writes to its log in the block, of all databases."""
        lsn = await self._lsn()
        yield
        sample.wal_bytes = await self._lsn() - lsn

    @contextmanager
    def timed(self, sample: Sample, clients: Sequence[int] = ()) -> Generator[None]:
        """Time the block; `clients` are processes that work besides this one and its children."""
        server, client = self._server_seconds(), _client_seconds(clients)
        began = time.perf_counter()
        yield
        sample.seconds = time.perf_counter() - began
        sample.client_seconds = _less(_client_seconds(clients), client)
        sample.server_seconds = _less(self._server_seconds(), server)

    async def facts(self) -> dict[str, str]:
        """Return the machine and the server's settings that matter."""
        rows = await self.ask(
            "SELECT name, current_setting(name) FROM pg_settings WHERE name = ANY ($1::text[])",
            list(_SETTINGS),
        )
        known = {str(name): str(value) for name, value in rows}
        machine = {
            "cpus": str(
                len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
            ),
            "machine": platform.machine(),
            "python": platform.python_version(),
        }
        return machine | {name: known[name] for name in _SETTINGS if name in known}

    def _server_seconds(self) -> float | None:
        return None if self.server_pid is None else cpu.of_trees([self.server_pid])

    async def _lsn(self) -> int:
        return await self.number("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint")

    async def _statements(self) -> int:
        if self.exact_statements:
            return await self.number(
                "SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements "
                "WHERE toplevel AND query NOT LIKE $1 AND dbid = "
                "(SELECT oid FROM pg_database WHERE datname = current_database())",
                f"{_OWN}%",
            )
        await self._settled()
        return await self.number(
            "SELECT xact_commit + xact_rollback FROM pg_stat_database "
            "WHERE datname = current_database()"
        )

    async def _settled(self) -> None:
        """Wait until each transaction so far is in pg_stat_database.

        A session reports once a second at most, and when it ends: the block's have to end first,
        our own is told to (Postgres 14 cannot be, there a second must pass).
        """
        others = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND backend_type = 'client backend' "
            "AND application_name <> current_setting('application_name')"
        )
        for _ in range(SETTLE_LOOKS):
            if not await self.number(others):
                break
            await asyncio.sleep(0.01)
        if await self.number("SELECT current_setting('server_version_num')::int") >= 150000:
            await self.ask("SELECT pg_stat_force_next_flush()")
        else:
            await asyncio.sleep(1.1)


def _client_seconds(clients: Sequence[int]) -> float | None:
    others = cpu.of_trees(clients)
    return None if others is None else others + cpu.of_self()


def _less(later: float | None, earlier: float | None) -> float | None:
    return None if later is None or earlier is None else later - earlier


FILL = """
SELECT count(*) FROM tidemill.enqueue_rows(
    array_fill($2::text, ARRAY[$1::integer]), array_fill($3::json, ARRAY[$1]),
    array_fill($4::text, ARRAY[$1]), NULL, NULL, NULL,
    CASE WHEN $5::double precision IS NOT NULL THEN array_fill($5, ARRAY[$1]) END,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL)
"""
