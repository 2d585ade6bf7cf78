"""What is past its time: waiting tasks, dead letters, ended tasks, whole days.

Every act is harmless twice, and in several processes at once: a pass is worked on by whoever holds
the lock of its mark, and rows that somebody else has locked are left for later.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from tidemill import sql
from tidemill.db import Database, Record, Session
from tidemill.dberrors import translated
from tidemill.store import passes
from tidemill.store.passes import Spot

_WAITING: Final = "expires_at"
_ANALYZED: Final = "analyzed"
_ATTEMPTS: Final = "attempts"
_NO_ID: Final = UUID(int=0)
_LATE: Final = timedelta(seconds=60)
"""Expired tasks are looked for again this long: their enqueue may commit late, or be in a move."""
_LONGEST_SECONDS: Final = 3600.0
_GOES_ON: Final = frozenset({"dropped", "missing", "held", "kept", "early"})


@dataclass(frozen=True, slots=True)
class Keep:
    """How long ended tasks are kept where their queue says nothing, in seconds from their end."""

    succeeded: float
    failed: float
    cancelled: float


@dataclass(frozen=True, slots=True)
class Pass:
    """The pass of one keep time: its mark's name, where it stands, and the keep times it is for."""

    name: str
    seconds: float
    spot: Spot
    rules: str
    now: datetime


class RetentionStore:
    """Retention of `db`."""

    def __init__(self, db: Database) -> None:
        """Work on `db`."""
        self._db = db

    async def expire_waiting(self, limit: int) -> tuple[int, int]:
        """Cancel waiting tasks past their `expires_at`.

        Return how many were looked at (`limit` at most) and how many cancelled.
        """
        async with self._db.transaction() as session:
            mark = await _taken(session, _WAITING)
            if mark is None:
                return 0, 0
            (found,) = await session.fetch(
                sql.load("expire_waiting"), mark["at"], mark["id"], limit
            )
            at, last = found["expires_at"] or mark["at"], found["id"] or mark["id"]
            if found["seen"] < limit and at > mark["now"] - _LATE:
                at, last = mark["now"] - _LATE, _NO_ID
            await _move(session, _WAITING, at=at, last=last)
        return found["seen"], found["cancelled"]

    async def thin_dead_letters(self, keep: Keep, limit: int) -> int:
        """Delete up to `limit` dead letters past their keep time; return how many."""
        gone: int = await self._db.fetchval(sql.load("thin_dead_letters"), keep.failed, limit)
        return gone

    async def passes(self, keep: Keep) -> list[Pass]:
        """Return the passes over ended tasks: one for each keep time in use, shortest first."""
        rows = await self._db.fetch(sql.load("retention_keeps"), keep.succeeded, keep.cancelled)
        return [_pass(row) for row in rows]

    async def days(self, parent: str) -> dict[date, int]:
        """Return the days of `tasks` or `attempts` that exist, oldest first, with their pages."""
        rows = await self._db.fetch(sql.load("partition_days"), parent)
        return {row["day"]: row["pages"] for row in rows}

    async def thin(self, each: Pass, keep: Keep, days: Mapping[date, int], limit: int) -> int:
        """Go one step on with a pass; return what was done: tasks deleted, or 1 for going on."""
        async with self._db.transaction() as session:
            mark = await _taken(session, each.name)
            if mark is None:
                return 0
            stands = _spot(mark, each.rules)
            spot = passes.look(stands, each.seconds, days, mark["now"])
            if spot is None:
                return 0
            day, page = spot.place
            (found,) = await session.fetch(
                sql.load("thin"),
                passes.start_of(day),
                passes.start_of(day + timedelta(days=1)),
                (page, 0),
                (page + passes.PAGES, 0),
                each.seconds,
                keep.succeeded,
                keep.cancelled,
                limit,
            )
            left_over, now = found["left_over"], mark["now"]
            goes = passes.after(spot, each.seconds, days[day], now, left_over=left_over)
            await _move(
                session,
                each.name,
                at=passes.start_of(goes.day),
                page=goes.page,
                final=goes.final,
                rules=each.rules,
            )
        return found["gone"] or int(goes != stands)

    async def drop_day(self, day: date, keep: Keep) -> str:
        """Drop a day of bodies, if all are past their time; return what the statement says."""
        return await self._patiently("day_drop", day, keep.succeeded, keep.cancelled)

    async def drop_attempts_day(self, day: date) -> str:
        """Drop a day of attempts, if no kept task ended on it; return what the statement says."""
        return await self._patiently("attempts_day_drop", day)

    async def is_news(self, state: str) -> bool:
        """Whether `state` is another one than that of which `noted` was told last."""
        mark = await self._db.fetchrow(sql.load("retention_mark"), _ATTEMPTS)
        return mark is None or mark["rules"] != state

    async def noted(self, state: str) -> None:
        """Note that what follows from `state` was done, by whatever process."""
        async with self._db.transaction() as session:
            if mark := await _taken(session, _ATTEMPTS):
                await _move(session, _ATTEMPTS, at=mark["now"], rules=state)

    async def begin_again(self) -> None:
        """Start all passes over ended tasks again: ends were found that they had gone past."""
        await self._db.execute(sql.load("retention_again"))

    async def analyze(self) -> bool:
        """Analyse the partitioned tables, once a day; return whether that was done."""
        async with self._db.transaction() as session:
            mark = await _taken(session, _ANALYZED)
            if mark is None or _day(mark["at"]) >= _day(mark["now"]):
                return False
            await _patient(session, "parents_analyze")
            await _move(session, _ANALYZED, at=mark["now"])
        return True

    async def _patiently(self, statement: str, *args: Any) -> str:
        async with self._db.transaction() as session:
            answer: str = await _patient(session, statement, *args)
        return answer


def goes_on(answer: str) -> bool:
    """Whether a pass may go on after a day's drop was tried: not before a `busy` one is retried."""
    return answer in _GOES_ON


async def _taken(session: Session, name: str) -> Record | None:
    """Return the mark of a pass, locked, or None when another process is at it."""
    mark = await session.fetchrow(sql.load("retention_mark"), name)
    if mark is None:
        await session.execute(sql.load("retention_begin"), name)
        mark = await session.fetchrow(sql.load("retention_mark"), name)
    return mark


async def _move(
    session: Session,
    name: str,
    *,
    at: datetime,
    last: UUID = _NO_ID,
    page: int = 0,
    final: bool = False,
    rules: str = "",
) -> None:
    await session.execute(sql.load("retention_move"), name, at, last, page, final, rules)


async def _patient(session: Session, statement: str, *args: Any) -> Any:
    """Run a statement that may take long: it reads a day of tasks, or a sample of all."""
    await session.execute(sql.load("patience"))
    with translated():
        return await session.connection.fetchval(
            sql.load(statement), *args, timeout=_LONGEST_SECONDS
        )


def _pass(row: Record) -> Pass:
    spot = Spot() if row["at"] is None else _spot(row, row["current"])
    return Pass(row["name"], row["seconds"], spot, row["current"], row["now"])


def _spot(mark: Record, rules: str) -> Spot:
    if mark["rules"] != rules:  # other tasks are due than those it has looked for so far
        return Spot()
    return Spot(_day(mark["at"]), mark["page"], mark["final"])


def _day(moment: datetime) -> date:
    return moment.astimezone(UTC).date()
