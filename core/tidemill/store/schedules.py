"""Cron schedules: what they say, and a run by hand. Who fires their slots is `store.firing`."""

from collections.abc import Sequence
from datetime import datetime

from tidemill import cron, sql
from tidemill.db import Database, Session
from tidemill.errors import InvalidSchedule, NotFound
from tidemill.models import Enqueued
from tidemill.schedules import FiredSlot, NewSchedule, Schedule
from tidemill.store.firing import EnqueueRules, Fired, fire
from tidemill.store.schedule_rows import columns_of, schedule_of
from tidemill.store.schedule_rules import faults
from tidemill.store.tasks import TaskStore


class ScheduleStore:
    """Schedules on `db`."""

    def __init__(self, db: Database) -> None:
        """Work on `db`."""
        self._db = db
        self._tasks = TaskStore(db)

    async def put(self, new: NewSchedule, *, app: str | None = None) -> tuple[Schedule, bool]:
        """Create or replace a schedule; return it, and whether it is new.

        Another cron or time zone waits for its first slot from now on; anything else leaves the
        next slot alone. `app` is who declares it. Raises InvalidSchedule naming every fault.
        """
        if found := faults(new):
            raise InvalidSchedule(*found)
        async with self._db.transaction() as session:
            row = await session.fetchrow(sql.load("schedule_lock"), new.name)
            known = schedule_of(row) if row else None
            if known is not None and _same(known, new, app):
                return known, False
            now = await session.fetchval(sql.load("now"))
            paused = new.paused if new.paused is not None else known is not None and known.paused
            row = await session.fetchrow(
                sql.load("schedule_put"), *columns_of(new), paused, _next_slot(new, known, now), app
            )
            if row is None:  # INSERT … RETURNING always returns; for the type checker
                raise NotFound(f"there is no schedule {new.name}")
            return schedule_of(row), row["created"]

    async def register(self, schedules: Sequence[NewSchedule], *, app: str) -> None:
        """Put what `app` declares; what is as declared already is not written."""
        for each in schedules:
            await self.put(each, app=app)

    async def list(self) -> Sequence[Schedule]:
        """Return all schedules by name."""
        return [schedule_of(row) for row in await self._db.fetch(sql.load("schedules"), None)]

    async def get(self, name: str) -> Schedule | None:
        """Return the schedule, or None."""
        row = await self._db.fetchrow(sql.load("schedules"), [name])
        return schedule_of(row) if row else None

    async def delete(self, name: str) -> None:
        """Delete the schedule; its tasks stay. Raises NotFound."""
        if await self._db.fetchval(sql.load("schedule_delete"), name) is None:
            raise _no_schedule(name)

    async def pause(self, name: str) -> Schedule:
        """Stop firing: once this returns, no slot fires. Raises NotFound."""
        return await self._set_paused(name, paused=True)

    async def resume(self, name: str) -> Schedule:
        """Fire again. Slots that came meanwhile are missed ones: `missed` decides on them.

        Raises NotFound.
        """
        return await self._set_paused(name, paused=False)

    async def run_now(self, name: str, rules: EnqueueRules | None = None) -> Enqueued:
        """Enqueue the schedule's task at once, paused or not, and no slot's. Twice is two tasks.

        Raises NotFound, and what an enqueue raises.
        """
        schedule = await self.get(name)
        if schedule is None:
            raise _no_schedule(name)
        rules = rules or EnqueueRules()
        (made,) = await self._tasks.enqueue(
            [schedule.definition.task()],
            unknown_types=rules.unknown_types,
            max_payload_bytes=rules.max_payload_bytes,
            create_queues=rules.create_queues,
        )
        return made

    async def upcoming(self, name: str, count: int) -> Sequence[datetime]:
        """Return the next `count` slots (fewer where it ends), paused or not. Raises NotFound."""
        schedule = await self.get(name)
        if schedule is None:
            raise _no_schedule(name)
        now = await self._db.fetchval(sql.load("now"))
        said = schedule.definition
        slots = cron.upcoming(said.cron, said.time_zone, now, count)
        return [slot for slot in slots if said.ends_at is None or slot <= said.ends_at]

    async def fired(self, name: str, count: int) -> Sequence[FiredSlot]:
        """Return the latest slots that became tasks, newest first; they are kept for 7 days."""
        rows = await self._db.fetch(sql.load("schedule_slots"), name, count)
        return [FiredSlot(row["slot"], row["task_id"], row["fired_at"]) for row in rows]

    async def fire(self, limit: int, rules: EnqueueRules | None = None) -> Fired:
        """Fire the slots that have come, of up to `limit` schedules; see `store.firing`."""
        return await fire(self._db, limit, rules or EnqueueRules())

    async def _set_paused(self, name: str, *, paused: bool) -> Schedule:
        async with self._db.transaction() as session:
            row = await session.fetchrow(sql.load("schedule_lock"), name)
            if row is None:
                raise _no_schedule(name)
            schedule = schedule_of(row)
            if schedule.paused == paused:
                return schedule
            return await _repaused(session, schedule, paused=paused)


async def _repaused(session: Session, schedule: Schedule, *, paused: bool) -> Schedule:
    slot = schedule.next_slot
    if not paused:
        now = await session.fetchval(sql.load("now"))
        slot = _resumed(schedule.definition, slot, now)
    row = await session.fetchrow(sql.load("schedule_pause"), schedule.name, paused, slot)
    if row is None:  # its row is locked
        raise _no_schedule(schedule.name)
    return schedule_of(row)


def _next_slot(new: NewSchedule, known: Schedule | None, now: datetime) -> datetime | None:
    """Return when `new` fires next, put in the place of `known`."""
    was = known.definition if known else None
    if was is None or known is None or (was.cron, was.time_zone) != (new.cron, new.time_zone):
        return _first_slot(new, now)
    if known.next_slot is None:
        return _first_slot(new, now)
    if known.paused and new.paused is False:
        return _resumed(new, known.next_slot, now)
    return None if new.ends_at and known.next_slot > new.ends_at else known.next_slot


def _resumed(said: NewSchedule, slot: datetime | None, now: datetime) -> datetime | None:
    """Return the next slot after a pause: with `skip` what came meanwhile is forgotten."""
    if slot is not None and slot <= now and said.missed == "skip":
        return _first_slot(said, now)
    return slot


def _first_slot(said: NewSchedule, after: datetime) -> datetime | None:
    slot = cron.next_slot(said.cron, said.time_zone, after)
    return None if slot and said.ends_at and slot > said.ends_at else slot


def _same(known: Schedule, new: NewSchedule, app: str | None) -> bool:
    paused = known.paused if new.paused is None else new.paused
    return (columns_of(known.definition), known.paused, known.app) == (columns_of(new), paused, app)


def _no_schedule(name: str) -> NotFound:
    return NotFound(f"there is no schedule {name[:80]}")
