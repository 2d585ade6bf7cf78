"""What no statement can tell: the schema beside this code, clocks, notifications, poolers."""

import asyncio
import secrets
import time
from dataclasses import dataclass
from typing import Final

from tidemill import schema
from tidemill.connecting import Connection
from tidemill.db import Database, connect
from tidemill.dberrors import translated
from tidemill.doctor import server
from tidemill.doctor.finding import Finding, Level, duration, listed, ok
from tidemill.errors import TidemillError
from tidemill.settings import Settings

APPLICATION: Final = "tidemill doctor"
HEAR_SECONDS = 3.0
SAMPLES = 3


@dataclass(frozen=True, slots=True)
class Patient:
    """What is examined: a database, over the ordinary address of `settings`."""

    settings: Settings
    database: Database


async def schema_fits(patient: Patient) -> list[Finding]:
    """Compare the database's schema with what this code was written for."""
    found = await schema.status(patient.database)
    figures = {"current": found.current, "latest": found.latest, "pending": list(found.pending)}
    if not found.current:
        return [
            Finding(
                "schema",
                Level.PROBLEM,
                "the database has no schema of Tidemill",
                "tidemill migrate; or another database was meant: look at TIDEMILL_DATABASE_URL",
                figures,
            )
        ]
    if found.too_new:
        return [Finding("schema", Level.PROBLEM, found.explain(), "upgrade this Tidemill", figures)]
    if not found.fits:
        return [Finding("schema", Level.PROBLEM, found.explain(), "tidemill migrate", figures)]
    if found.pending:
        lacking = f"schema {found.current} lacks migrations before it: {listed(found.pending)}"
        advice = "restore tidemill.migrations from a backup; rows were deleted by hand"
        return [Finding("schema", Level.PROBLEM, lacking, advice, figures)]
    if found.current > found.latest:
        advice = "upgrade this Tidemill soon: the database was migrated by a newer one"
        return [Finding("schema", Level.NOTE, found.explain(), advice, figures)]
    return ok("schema", found.explain(), **figures)


async def clock(patient: Patient) -> list[Finding]:
    """Compare this machine's clock with the server's, by the quickest of a few round trips."""
    samples: list[tuple[float, float]] = []
    for _ in range(SAMPLES):
        before, began = time.time(), time.monotonic()
        theirs = await patient.database.fetchval("SELECT extract(epoch FROM clock_timestamp())")
        round_trip = time.monotonic() - began
        samples.append((round_trip, before + round_trip / 2 - float(theirs)))
    round_trip, offset = min(samples)
    return server.clock(offset, round_trip)


async def pooler(patient: Patient) -> list[Finding]:
    """Tell whether something stands between, and whether the settings know of it.

    A pooler answers a new connection with a process id of its own making.
    """
    async with patient.database.session() as session:
        between = await session.fetchval("SELECT pg_backend_pid()") != (
            session.connection.get_server_pid()
        )
    setting = patient.settings.database_pooler
    figures = {"pooler": between, "setting": setting}
    if between and setting == "none":
        return [
            Finding(
                "pooler",
                Level.WARNING,
                "a pooler stands between, and TIDEMILL_DATABASE_POOLER is none: in transaction "
                "mode statements fail now and then, and notifications are lost",
                "TIDEMILL_DATABASE_POOLER=transaction, and TIDEMILL_DATABASE_DIRECT_URL past it; "
                "or nothing, if it pools whole sessions",
                figures,
            )
        ]
    if not between and setting == "transaction":
        return [
            Finding(
                "pooler",
                Level.NOTE,
                "TIDEMILL_DATABASE_POOLER is transaction, and no pooler was seen",
                "TIDEMILL_DATABASE_POOLER=none saves parsing each statement anew",
                figures,
            )
        ]
    what = "a transaction pooler stands between, as set" if between else "no pooler in between"
    return ok("pooler", what, **figures)


async def listener(patient: Patient) -> list[Finding]:
    """Send a notification over the ordinary address, and hear it on the direct one."""
    poll = patient.settings.poll_seconds
    if not patient.settings.direct_url:
        return [
            Finding(
                "listener",
                Level.NOTE,
                "no direct address past the pooler is set: processes here poll, every "
                f"{duration(poll)}, and hear of new tasks that much later",
                "set TIDEMILL_DATABASE_DIRECT_URL to the server itself",
                {"listening": False},
            )
        ]
    try:
        connection = await connect(patient.settings, application=APPLICATION, direct=True)
    except TidemillError as error:
        return [_deaf(f"the direct address cannot be used to listen: {error}", poll)]
    try:
        seconds = await _round_trip(patient.database, connection)
    except TidemillError as error:
        return [_deaf(f"LISTEN failed on the direct address: {error}", poll)]
    finally:
        connection.terminate()
    if seconds is None:
        return [_deaf(f"a notification was not heard within {HEAR_SECONDS:g} s", poll)]
    heard = f"a notification was heard after {duration(seconds)}"
    return ok("listener", heard, listening=True, seconds=seconds)


async def _round_trip(database: Database, connection: Connection) -> float | None:
    heard = asyncio.Event()
    channel = f"tidemill_doctor_{secrets.token_hex(8)}"

    def hear(*_said: object) -> None:
        heard.set()

    with translated():
        await connection.add_listener(channel, hear)
    began = time.monotonic()
    await database.execute("SELECT pg_notify($1, '')", channel)
    try:
        await asyncio.wait_for(heard.wait(), HEAR_SECONDS)
    except TimeoutError:
        return None
    return time.monotonic() - began


def _deaf(finding: str, poll: float) -> Finding:
    return Finding(
        "listener",
        Level.WARNING,
        f"{finding}: processes poll, every {duration(poll)}",
        "TIDEMILL_DATABASE_DIRECT_URL must lead to the same database, on its primary, and past any "
        "pooler",
        {"listening": False},
    )
