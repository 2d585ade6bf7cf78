"""The API over HTTP: single enqueues beside a handler without a database, batches beside SQL."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from statistics import median

from bench import http_servers, noop
from bench.case import BenchError
from bench.findings import Bar, Finding
from bench.http_figures import COLUMNS, Run, Series
from bench.http_servers import Served, Shape
from bench.rounds import in_turn
from bench.scripts import QUEUE
from bench.server import Bed
from bench.subject import Say, Scale, Subject
from bench.target import Target

CONNECTIONS = (1, 16, 64)
BATCH = 1000
BATCH_CONNECTIONS = (1, 4)
SINGLE_SHARE = 0.75
BATCH_SHARE = 0.6

_TASK = json.dumps({"type": noop.TYPE, "payload": noop.PAYLOAD, "queue": QUEUE}).encode()
ONE = Shape("/api/tasks", "application/json", _TASK)
ARRAY = Shape("/api/tasks/batch", "application/json", b"[" + b",".join([_TASK] * BATCH) + b"]")
NDJSON = Shape("/api/tasks/batch", "application/x-ndjson", b"\n".join([_TASK] * BATCH))

_VALUES = ", ".join(f"(${n}, ${n + 1}, ${n + 2}::json)" for n in range(1, 3 * BATCH, 3))
# What enqueueing these tasks writes, body and queue row, with nothing decided or checked.
_PLAIN_INSERT = (
    f"WITH given (type, queue, payload) AS (VALUES {_VALUES}), "  # noqa: S608 - numbers only
    "bodies AS ("
    "INSERT INTO tidemill.tasks "
    "(id, queue_id, type, priority, max_retries, timeout_seconds, created_at, payload) "
    "SELECT tidemill.uuid_at((extract(epoch FROM statement_timestamp()) * 1e6)::bigint, "
    "tidemill.uuid_salt()), q.id, g.type, 0, 25, 300, statement_timestamp(), g.payload "
    "FROM given g JOIN tidemill.queues q ON q.name = g.queue RETURNING id, queue_id, priority) "
    "INSERT INTO tidemill.ready (task_id, queue_id, priority, lane, ready_at) "
    "SELECT id, queue_id, priority, 1, statement_timestamp() FROM bodies RETURNING task_id"
)


@dataclass(frozen=True, slots=True)
class Case:
    """One way, `batch` tasks a request; `limit` names the case that it is a share of."""

    name: str
    batch: int
    requests: int
    run: Callable[[int], Awaitable[Run]]
    limit: str | None = None


class Http(Subject):
    """Requests per second of one API process, in turn with its limits."""

    name = "http"

    async def run(self, bed: Bed, scale: Scale, say: Say) -> list[Finding]:
        """Measure."""
        async with (
            bed.database() as target,
            http_servers.api(target) as api,
            http_servers.bare() as bare,
            http_servers.bare("--uvloop") as faster,
        ):
            await target.empty()
            cases = _single(target, api, bare, faster, scale.tasks)
            single = await _in_rounds(cases, scale.rounds, say)
            batches = await _in_rounds(_batches(target, api, scale.tasks), scale.rounds, say)
        return [
            _finding(
                "http", "single enqueues, beside an aiohttp handler without a database", single
            ),
            _finding("http batches", f"{BATCH:,} tasks a request, beside plain inserts", batches),
        ]


def _single(target: Target, api: Served, bare: Served, faster: Served, tasks: int) -> list[Case]:
    found: list[Case] = []
    for many in CONNECTIONS:
        limit = f"bare handler, {many}"
        # one connection waits for each commit alone: fewer requests tell as much
        requests = max(many, tasks // (50 if many == 1 else 5) // many * many)
        found += [
            Case(limit, 1, requests, _over_http(bare, ONE, many)),
            Case(f"bare on uvloop, {many}", 1, requests, _over_http(faster, ONE, many), limit),
            Case(
                f"POST /api/tasks, {many}",
                1,
                requests,
                _checked(target, _over_http(api, ONE, many), 1),
                limit,
            ),
        ]
    return found


def _batches(target: Target, api: Served, tasks: int) -> list[Case]:
    found: list[Case] = []
    for many in BATCH_CONNECTIONS:
        limit = f"plain insert, {many}"
        requests = max(many, tasks // BATCH // many * many)
        found.append(Case(limit, BATCH, requests, _inserting(target, many)))
        found += [
            Case(
                f"{name}, {many}",
                BATCH,
                requests,
                _checked(target, _over_http(api, shape, many), BATCH),
                limit,
            )
            for name, shape in (("JSON array", ARRAY), ("NDJSON", NDJSON))
        ]
    return found


async def _in_rounds(
    cases: Sequence[Case], rounds: int, say: Say
) -> list[tuple[Series, Series | None]]:
    """Run all cases `rounds` times in turn, after a tenth of each that does not count."""
    runs: dict[str, list[Run]] = {case.name: [] for case in cases}
    for case in cases:
        await case.run(max(1, case.requests // 10))
    for number in range(rounds):
        for case in in_turn(cases, number):
            runs[case.name].append(await case.run(case.requests))
            rate = runs[case.name][-1].per_second
            say(f"http {number + 1}/{rounds}  {case.name:<20} {rate:>9,.0f} requests/s")
    series = {case.name: Series(case.name, case.batch, runs[case.name]) for case in cases}
    return [(series[case.name], series[case.limit] if case.limit else None) for case in cases]


def _over_http(server: Served, shape: Shape, connections: int) -> Callable[[int], Awaitable[Run]]:
    async def run(requests: int) -> Run:
        return await server.load(shape, requests, connections)

    return run


def _checked(
    target: Target, run: Callable[[int], Awaitable[Run]], batch: int
) -> Callable[[int], Awaitable[Run]]:
    """Return `run` into an empty queue, in which all that was acknowledged must be afterwards."""

    async def checked(requests: int) -> Run:
        await target.empty()
        done = await run(requests)
        found = await target.number(
            "SELECT count(*) FROM tidemill.ready JOIN tidemill.tasks ON id = task_id"
        )
        if found != requests * batch:
            raise BenchError(f"{requests * batch} tasks were acknowledged, {found} are there")
        return done

    return checked


def _inserting(target: Target, connections: int) -> Callable[[int], Awaitable[Run]]:
    """Return what writes the same rows by a plain insert of this process."""
    values = [noop.TYPE, QUEUE, noop.PAYLOAD_TEXT] * BATCH

    async def run(requests: int) -> Run:
        await target.empty()
        times: list[float] = []
        async with target.client() as db:

            async def insert(count: int) -> None:
                async with db.session() as session:
                    for _ in range(count):
                        began = time.perf_counter()
                        await session.fetch(_PLAIN_INSERT, *values)
                        times.append(time.perf_counter() - began)

            await asyncio.gather(*(insert(1) for _ in range(connections)))  # connects and prepares
            times.clear()
            each = max(1, requests // connections)
            began, used = time.perf_counter(), time.process_time()
            await asyncio.gather(*(insert(each) for _ in range(connections)))
            seconds = time.perf_counter() - began
            return Run(each * connections, seconds, times, time.process_time() - used)

    return run


def _finding(name: str, title: str, found: Sequence[tuple[Series, Series | None]]) -> Finding:
    return Finding(
        name=name,
        title=f"{title}; connections after the comma",
        columns=COLUMNS,
        rows=[series.row(limit) for series, limit in found],
        figures={"cases": [series.to_json(limit) for series, limit in found]},
        bars=[
            Bar(
                f"{series.name}, as a share of {limit.name}",
                median(series.ratios(limit)),
                SINGLE_SHARE if series.batch == 1 else BATCH_SHARE,
            )
            for series, limit in found
            if limit is not None and not series.name.startswith("bare") and _barred(series)
        ],
        notes=["server µs/task: of the API's or the handler's process; of this one for inserts"],
    )


def _barred(series: Series) -> bool:
    """Return whether the case has a bar: 64 connections, and batches one after the other."""
    many = int(series.name.rpartition(", ")[2])
    return many == (CONNECTIONS[-1] if series.batch == 1 else BATCH_CONNECTIONS[0])
