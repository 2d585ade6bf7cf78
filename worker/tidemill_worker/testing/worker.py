"""A worker for tests: the real one, on a real database, that works when it is told to."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Final, Self
from uuid import UUID

from tidemill.app import App
from tidemill.client import Client
from tidemill.db import Database
from tidemill.errors import ConfigurationError, TaskNotFound
from tidemill.maintenance import duties
from tidemill.models import HistoryEvent, Task
from tidemill.schema import migrate
from tidemill.sdk.resources import Opener
from tidemill.settings import Settings
from tidemill.states import Outcome
from tidemill.store import Store
from tidemill.store.listing import Wanted
from tidemill_worker.testing.clock import Clock, seeing
from tidemill_worker.testing.matching import Kind, chosen
from tidemill_worker.testing.outcomes import Ran, outcomes
from tidemill_worker.testing.swapping import client_of
from tidemill_worker.worker import Worker

_ALIVE_SECONDS: Final = 60.0
_LONGEST_SECONDS: Final = 60.0
_NEVER: Final[dict[str, Any]] = {
    f"{duty}_seconds": 0.0
    for duty in ("recover", "schedule", "fold", "expire", "partition", "retention")
}
_GOOD: Final = {Outcome.SUCCEEDED, Outcome.SNOOZED}


class TaskFailures(AssertionError):
    """Tasks that a drain ran have failed; `ran` are all of its attempts."""

    def __init__(self, ran: list[Ran]) -> None:
        """Tell which, with the traceback of the first."""
        failed = [each for each in ran if each.outcome not in _GOOD]
        first = (failed[0].error or {}).get("traceback", "")
        told = "\n".join(f"  {each}" for each in failed)
        super().__init__(f"{len(failed)} of {len(ran)} attempts failed:\n{told}\n{first}".rstrip())
        self.ran = ran


class TestWorker:
    """Runs the tasks of `app` in a database for tests, when `drain` is called and not before.

        async with TestWorker(app, url) as worker:
            await welcome.enqueue(to="ada@example.com")
            [ran] = await worker.drain()
            assert ran.result == {"sent": True}

    Inside the block `app` enqueues into that database. Every drain is the work of a real worker,
    so what holds here holds in production; tasks run one after the other unless `concurrency` says
    otherwise. The database is the test's own: one that another worker works on is refused.
    """

    __test__ = False  # no test class, says pytest's own convention

    def __init__(
        self,
        app: App,
        url: str,
        *,
        resources: Mapping[Opener, Any] | None = None,
        **settings: Any,
    ) -> None:
        """Take the address of the test's database, and settings that differ from the defaults.

        `resources`: what handlers get in place of what these openers would open.
        """
        self._app = app
        self._resources = resources
        given = {"concurrency": 1, "prefetch": 0, "drain_seconds": 0} | settings
        self._settings = Settings.load({}, database_url=seeing(url), **given)
        self._db = Database.of(self._settings, application="tidemill-testing")
        self._store = Store.of(self._db)
        self.client = Client(self._db, self._settings)
        """Enqueues into the test's database"""
        self.clock = Clock(self._db)
        self._swapped = client_of(app, self.client)

    async def __aenter__(self) -> Self:
        """Bring the schema up to date, and let `app` enqueue here."""
        try:
            await migrate(self._db)
            await self._refuse_company()
            await self._register()
        except BaseException:
            await self._db.close()
            raise
        self._swapped.__enter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let the clock go, and `app` enqueue where it did before."""
        self._swapped.__exit__(None, None, None)
        try:
            await self.clock.release()
        finally:
            await self.client.close()

    async def drain(self, *, check: bool = True, seconds: float = _LONGEST_SECONDS) -> list[Ran]:
        """Run what is due now, and what that enqueues, until nothing is left; return each attempt.

        Tasks for later stay: see `advance`. An attempt that did not succeed raises TaskFailures,
        unless `check` is off. TimeoutError after `seconds`.
        """
        await self._upkeep()
        worker = Worker(self._app, settings=self._of_worker(), resources=self._resources)
        try:
            async with asyncio.timeout(seconds):
                await worker.run_until_empty()
        except TimeoutError:
            raise TimeoutError(f"after {seconds:g} s tasks still run or wait") from None
        ran = await outcomes(self._db, worker.identity.id)
        if check and any(each.outcome not in _GOOD for each in ran):
            raise TaskFailures(ran)
        return ran

    async def freeze(self) -> datetime:
        """Stop the database's clock; return its time. It goes again when the block ends."""
        return await self.clock.freeze()

    async def advance(self, seconds: float = 0.0, **more: float) -> datetime:
        """Stop the clock, if it goes, and move it ahead: `advance(90)`, `advance(days=1)`.

        What becomes due by that - delays, retries, expiry, leases, cron slots, keys - is due at
        the next `drain`. Returns the clock's time.
        """
        return await self.clock.advance(timedelta(seconds=seconds, **more))

    async def assert_enqueued(
        self,
        task: Kind,
        payload: Mapping[str, Any] | None = None,
        *,
        count: int | None = None,
        **options: Any,
    ) -> list[Task]:
        """Return the tasks of this type that have `payload` in theirs, whatever became of them.

        `options` are fields of `tidemill.models.Task`, such as `queue` or `status`. Raises
        AssertionError, with a list of what was enqueued, unless there are `count` (None: any).
        """
        return chosen(await self.tasks(), task, payload, count, options)

    async def assert_nothing_enqueued(self, task: Kind | None = None) -> None:
        """Raise AssertionError when there is any task at all, or one of this type."""
        tasks = await self.tasks()
        for kind in {each.type for each in tasks} if task is None else [task]:
            chosen(tasks, kind, None, 0, {})

    async def tasks(self) -> list[Task]:
        """Return all tasks of the database as they are now, in the order of their enqueueing."""
        found: list[Task] = []
        before: UUID | None = None
        while True:
            page = await self._store.listing.tasks(Wanted(), before=before)
            found += [await self.task(each.id) for each in page.tasks]
            if page.next is None:
                return found[::-1]
            before = page.next

    async def task(self, task_id: UUID) -> Task:
        """Return a task as it is now. Raises TaskNotFound."""
        task = await self._store.tasks.get(task_id)
        if task is None:
            raise TaskNotFound(f"no task {task_id}")
        return task

    async def history(self, task_id: UUID) -> list[HistoryEvent]:
        """Return what happened to a task, oldest first."""
        return await self._store.tasks.history(task_id)

    def _of_worker(self) -> Settings:
        return replace(self._settings, promote_seconds=0.05, poll_seconds=0.1, **_NEVER)

    async def _upkeep(self) -> None:
        """Do what maintenance would have done by now. A new store: its floors are of this time."""
        settings = replace(self._settings, retention_seconds=0.0)
        for duty in duties(Store.of(self._db), settings):
            while await duty.run_once():
                continue

    async def _register(self) -> None:
        await self._store.types.register(self._app.types(), app="tests")
        await self._store.schedules.register(self._app.schedules, app="tests")

    async def _refuse_company(self) -> None:
        for each in await self._store.listing.workers():
            if each.seen_seconds < _ALIVE_SECONDS:
                raise ConfigurationError(
                    f"worker {each.name!r} (process {each.pid} on {each.hostname}) works on this "
                    "database: a TestWorker runs all that waits, so it takes one of its own"
                )
