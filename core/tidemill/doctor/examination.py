"""The checks in their order, and how each is run: alone, read only, briefly, never fatally."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

from tidemill import sql
from tidemill.db import Database
from tidemill.doctor import holders, probes, producers, queue, server, tables, types
from tidemill.doctor.finding import Finding, Level, Report, Rows
from tidemill.doctor.probes import APPLICATION, Patient
from tidemill.errors import TidemillError
from tidemill.settings import Settings

STATEMENT_SECONDS = 5
_SAMPLE = 1000
_MOST_WORKERS = 1000
_HEAD = 20
_MOST_SESSIONS = 20
_SOON_SECONDS = 60.0

Look = Callable[[Patient], Awaitable[list[Finding]]]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at. `ours`: it reads our tables, so it needs them to be there."""

    name: str
    look: Look
    ours: bool = False


def _reading(statement: str, judge: Callable[[Rows], list[Finding]], *args: Any) -> Look:
    async def look(patient: Patient) -> list[Finding]:
        return judge(await _read(patient.database, statement, *args))

    return look


async def _read(database: Database, statement: str, *args: Any) -> Rows:
    async with database.transaction(snapshot=True) as session:
        await session.execute(f"SET LOCAL statement_timeout = '{STATEMENT_SECONDS}s'")
        return [dict(row) for row in await session.fetch(sql.load(f"doctor_{statement}"), *args)]


async def _partitions(patient: Patient) -> list[Finding]:
    own = patient.settings
    keep = max(own.keep_succeeded_seconds, own.keep_failed_seconds, own.keep_cancelled_seconds)
    return tables.partitions(await _read(patient.database, "partitions", keep))


async def _sql_producers(patient: Patient) -> list[Finding]:
    wanted = {name: str(getattr(patient.settings, name)) for name in producers.DEFAULTS}
    return producers.settings(await _read(patient.database, "producers"), wanted)


async def _dead_letters(patient: Patient) -> list[Finding]:
    crashes = patient.settings.max_crashes
    return queue.dead_letters(
        await _read(patient.database, "dead_letters", crashes, queue.MANY_DEAD_LETTERS)
    )


CHECKS: Final = (
    Check("server", _reading("server", server.version)),
    Check("settings", _reading("server", server.settings)),
    Check("login", _reading("login", server.login)),
    Check("schema", probes.schema_fits),
    Check("pooler", probes.pooler),
    Check("listener", probes.listener),
    Check("connections", _reading("connections", server.connections)),
    Check("clock", probes.clock),
    Check("transactions", _reading("sessions", holders.transactions, _MOST_SESSIONS)),
    Check("prepared_transactions", _reading("prepared", holders.prepared)),
    Check("replication_slots", _reading("slots", holders.slots)),
    Check("standbys", _reading("standbys", holders.standbys)),
    Check("wraparound", _reading("wraparound", holders.wraparound)),
    Check("dead_rows", _reading("tables", tables.dead_rows, list(tables.STORAGE)), ours=True),
    Check(
        "storage_settings",
        _reading("tables", tables.storage_settings, list(tables.STORAGE)),
        ours=True,
    ),
    Check("indexes", _reading("indexes", tables.indexes), ours=True),
    Check("partitions", _partitions, ours=True),
    Check("sql_producers", _sql_producers, ours=True),
    Check("statistics", _reading("statistics", queue.statistics, queue.MANY_DELTAS), ours=True),
    Check("workers", _reading("workers", queue.workers, _MOST_WORKERS), ours=True),
    Check("leases", _reading("leases", queue.leases, queue.UNRECOVERED_SECONDS), ours=True),
    Check("queues", _reading("queues", queue.queues, queue.UNSEEN_SECONDS, _HEAD), ours=True),
    Check("types", _reading("types", types.types, _SAMPLE, _HEAD, _SOON_SECONDS), ours=True),
    Check(
        "schedules", _reading("schedules", queue.schedules, queue.LATE_SECONDS, _SAMPLE), ours=True
    ),
    Check("bodies", _reading("bodies", queue.bodies, _SAMPLE), ours=True),
    Check("dead_letters", _dead_letters, ours=True),
)


async def examine(settings: Settings) -> Report:
    """Look at everything and return what was found. Nothing is changed.

    Raises DatabaseUnavailable or DatabaseRefused when there is no session to be had at all.
    """
    database = Database.of(settings, application=APPLICATION, pool_size=2)
    try:
        await database.fetchval("SELECT 1")
        findings = await _all(Patient(settings, database))
    finally:
        await database.close()
    return Report(database=settings.shown()["database_url"], findings=tuple(findings))


async def _all(patient: Patient) -> list[Finding]:
    findings: list[Finding] = []
    ours = True
    for check in CHECKS:
        if check.ours and not ours:
            findings.append(_skipped(check))
            continue
        found = await _run(check, patient)
        if check.name == "schema":
            ours = bool(found[0].figures.get("current"))
        findings += found
    return findings


async def _run(check: Check, patient: Patient) -> list[Finding]:
    try:
        return await check.look(patient)
    except (TidemillError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        reason = " ".join(str(error).split())
        return [
            Finding(
                check.name,
                Level.WARNING,
                f"this could not be looked at: {reason}",
                f"a statement may take {STATEMENT_SECONDS} s; the rest was looked at all the same",
            )
        ]


def _skipped(check: Check) -> Finding:
    finding = "not looked at: there is no schema that can be read"
    return Finding(check.name, Level.NOTE, finding)
