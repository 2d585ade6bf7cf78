"""`tidemill up`: the order in which everything starts, and the order in which it stops.

start: database -> schema -> the app's task types -> API -> workers
stop:  workers (they drain) -> API -> database
"""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

from tidemill.app import App
from tidemill.db import Database, wait_for_database
from tidemill.notify import Listener
from tidemill.schema import migrate
from tidemill.service import Group
from tidemill.setting import variable_of
from tidemill.settings import Settings
from tidemill.store import Store
from tidemill_cli.local import ports
from tidemill_cli.local.banner import banner
from tidemill_cli.local.child import Child
from tidemill_cli.local.crew import Crew
from tidemill_cli.local.keeper import ChildError, Keeper
from tidemill_cli.local.postgres import EmbeddedPostgres
from tidemill_cli.local.printer import Printer, printing_logs
from tidemill_cli.local.scaler import FEWEST, Scaler, most_workers

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_DATABASE_SECONDS = 5.0
_READY_SECONDS = 60.0
_LOOK_SECONDS = 0.05
_POSTGRES_LOOK_SECONDS = 0.5
_API_STOP_SECONDS = 15.0
_BEYOND_DRAIN_SECONDS = 10.0  # a worker needs no longer to give back and record what it ran
_SAME_SIGNAL_SECONDS = 0.5  # `timeout`, say, signals the process and then its whole group
_SPARE_CONNECTIONS = 20
_MOST_RECOVERED = 1000  # a pass; the workers' own recovery takes the rest


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run. `postgres` is None where the database is somebody else's."""

    settings: Settings
    app: App
    postgres: EmbeddedPostgres | None


def embedded(settings: Settings, folder: Path) -> EmbeddedPostgres:
    """Return a server with room for the connections of all processes."""
    processes = most_workers(settings) + settings.api_processes
    most = processes * (settings.database_pool_size + 3) + _SPARE_CONNECTIONS
    return EmbeddedPostgres(folder, options={"max_connections": str(max(100, most))})


def settings_with(settings: Settings, url: str) -> Settings:
    """Return settings for our own server at `url`: nothing stands between."""
    return replace(
        settings,
        database_url=url,
        database_direct_url="",
        database_pooler="none",
        database_ca_file="",
        database_password_file="",
    )


class Up:
    """Runs a plan until it is told to stop."""

    def __init__(self, plan: Plan, printer: Printer) -> None:
        """Start nothing yet."""
        self._plan = plan
        self._settings = plan.settings
        self._printer = printer
        self._stopping = asyncio.Event()
        self._forced = False
        self._told = False
        self._last_told = float("-inf")
        self._database = Database.of(plan.settings, application="tidemill up", pool_size=2)
        self._api = self._employ("api", ["api"], patient=False)
        self._api_task: asyncio.Task[None] | None = None
        self._crew = Crew(lambda name: self._employ(name, ["worker"]))
        self._scaling: Group | None = None
        self._clean = True
        printer.on_closed = self._stopping.set

    async def run(self) -> bool:
        """Run until a signal; return whether everything stopped by itself.

        Raises TidemillError when something cannot start; what had started is stopped by then.
        """
        with _on_signals(self._told_to_stop), printing_logs(self._printer):
            try:
                await self._prepare()
                await self._start_all()
                await self._watch()
            finally:
                await self._stop_all()
                await self._database.close()
        return self._clean

    async def _prepare(self) -> None:
        wait = min(_DATABASE_SECONDS, self._settings.database_wait_seconds)
        await wait_for_database(self._database, wait)
        direct = Database.of(self._settings, application="tidemill up", pool_size=1, direct=True)
        try:
            for name in await migrate(direct):
                self._say(f"applied migration {name}")
        finally:
            await direct.close()
        types, store = self._plan.app.types(), Store.of(self._database)
        await store.types.register(types, app=self._settings.app)
        await store.schedules.register(self._plan.app.schedules, app=self._settings.app)
        self._say(f"registered task types: {', '.join(each.name for each in types) or 'none'}")

    async def _start_all(self) -> None:
        if self._stopping.is_set():
            return
        self._api_task = asyncio.create_task(self._api.run(), name="api")
        await self._wait_until_ready()
        self._api.patient = True
        self._crew.add(self._settings.workers or FEWEST)
        if not self._stopping.is_set():
            self._printer.plain(self._banner())
        if not self._settings.workers:
            await self._scale()

    async def _scale(self) -> None:
        """Let the queues say from now on how many workers there are."""
        scaler = Scaler(self._settings, Store.of(self._database), self._crew, self._say)
        listener = Listener(self._settings, application="tidemill up")
        listener.subscribe(scaler.hear)
        self._scaling = Group([scaler, listener], "scaling")
        await self._scaling.start()

    def _employ(self, name: str, arguments: list[str], *, patient: bool = True) -> Keeper:
        child = Child(
            name,
            arguments,
            environment(os.environ, self._settings),
            self._printer,
            orphan_signal=self._orphan_signal,
        )
        return Keeper(child, self._stopping, self._printer, self._recover, patient=patient)

    @property
    def _tasks(self) -> list[asyncio.Task[None]]:
        return [*([self._api_task] if self._api_task else []), *self._crew.tasks()]

    @property
    def _orphan_signal(self) -> signal.Signals:
        """With our own Postgres going down as well there is nowhere to drain to."""
        return signal.SIGKILL if self._plan.postgres else signal.SIGTERM

    async def _wait_until_ready(self) -> None:
        clock = asyncio.get_running_loop().time
        end = clock() + _READY_SECONDS
        while not self._stopping.is_set() and not await ports.answers(self._address):
            self._raise_failures()
            if clock() > end:
                raise ChildError(f"the API did not become ready within {_READY_SECONDS:g} s")
            await asyncio.sleep(_LOOK_SECONDS)

    async def _watch(self) -> None:
        """Return when told to stop; raise what a child died of, restart a Postgres that died."""
        stopped = asyncio.create_task(self._stopping.wait())
        while not self._stopping.is_set():
            await asyncio.wait(
                [stopped, *self._tasks],
                timeout=_POSTGRES_LOOK_SECONDS,
                return_when=asyncio.FIRST_COMPLETED,
            )
            self._raise_failures()
            self._revive_postgres()
        await stopped

    def _revive_postgres(self) -> None:
        own = self._plan.postgres
        if own is not None and own.pid is None and not self._stopping.is_set():
            self._say(f"Postgres ended ({own.last_words()}); starting it again")
            own.stop()
            own.start()

    def _raise_failures(self) -> None:
        for task in self._tasks:
            if task.done() and (error := task.exception()):
                raise error

    async def _recover(self, pid: int) -> None:
        """Give a dead process' tasks back to the queue now, not when their leases expire."""
        store = Store.of(self._database)
        try:
            if await store.workers.bury(hostname=socket.gethostname(), pid=pid):
                await store.upkeep.recover(_MOST_RECOVERED, self._settings.max_crashes)
        except Exception as error:  # noqa: BLE001 - said, and the leases expire by themselves
            self._say(f"could not give back the tasks of process {pid} yet: {error}")

    async def _stop_all(self) -> None:
        self._stopping.set()
        if self._scaling is not None:
            await self._scaling.stop()  # first: it must not start a worker behind our back
        workers = self._crew.children
        if any(each.running for each in workers):
            self._say("stopping: workers finish what they run (again Ctrl-C: at once)")
        drain = self._settings.drain_seconds + _BEYOND_DRAIN_SECONDS
        await self._stop(workers, drain)
        await self._stop([self._api.child], _API_STOP_SECONDS)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _stop(self, children: list[Child], seconds: float) -> None:
        if self._forced:
            seconds = min(seconds, _BEYOND_DRAIN_SECONDS)
        stopped = await asyncio.gather(*(each.stop(seconds) for each in children))
        self._clean = self._clean and all(stopped) and not self._forced

    def _told_to_stop(self) -> None:
        """Drain at the first signal, give back what runs at the second, kill at the third."""
        loop = asyncio.get_running_loop()
        if loop.time() - self._last_told < _SAME_SIGNAL_SECONDS:
            return
        self._last_told = loop.time()
        if self._forced:
            self._kill_all()
        elif self._told:
            self._forced = True
            self._say("stopping at once: what still runs is given back")
            self._send_all(signal.SIGTERM)
            loop.call_later(_BEYOND_DRAIN_SECONDS, self._kill_all)
        self._told = True
        self._stopping.set()

    def _kill_all(self) -> None:
        self._send_all(signal.SIGKILL)

    def _send_all(self, which: signal.Signals) -> None:
        for child in [*self._crew.children, self._api.child]:
            child.send(which)

    @property
    def _address(self) -> str:
        return ports.address_of(self._settings.api_host, self._settings.api_port)

    def _banner(self) -> str:
        guarded = bool(self._settings.tokens_file or self._settings.tokens)
        types, postgres = self._plan.app.types(), self._plan.postgres
        return banner(self._address, types, postgres, guarded=guarded)

    def _say(self, text: str) -> None:
        self._printer.line("up", text)


def environment(environ: Mapping[str, str], settings: Settings) -> dict[str, str]:
    """Return what children start with: ours, and every setting as its variable.

    Secrets travel here, never on a command line that `ps` shows. Unless asked otherwise, unknown
    task types are refused, because the app's types are registered, and log lines are for people.
    Several workers cannot share one port for their probes, so they have none.
    """
    types = variable_of("unknown_types")
    chosen = replace(
        settings,
        unknown_types=settings.unknown_types if environ.get(types) else "reject",
        probe_port=0,
        log_format="text" if settings.log_format == "auto" else settings.log_format,
    )
    ours = {variable_of(each.name): str(getattr(chosen, each.name)) for each in fields(chosen)}
    return {**environ, **ours, "PYTHONUNBUFFERED": "1"}


def ignore_signals() -> None:
    """Be deaf from now on: what is left to do takes a moment, and then the process ends."""
    for each in STOP_SIGNALS:
        signal.signal(each, signal.SIG_IGN)


@contextlib.contextmanager
def _on_signals(call: Callable[[], None]) -> Generator[None]:
    loop = asyncio.get_running_loop()
    for each in STOP_SIGNALS:
        loop.add_signal_handler(each, call)
    try:
        yield
    finally:
        for each in STOP_SIGNALS:
            loop.remove_signal_handler(each)
        ignore_signals()
