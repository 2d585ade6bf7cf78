"""The worker's probes and metrics, served from the heart's thread.

Never from the loop that runs handlers: a probe tells about handlers that block that loop, and must
answer while they do. Neither does a probe ask the database: its absence must not make busy pods
the first victims.
"""

import asyncio
import time
from collections.abc import Callable

from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from tidemill.errors import ConfigurationError
from tidemill.metrics import REGISTRY
from tidemill.settings import Settings
from tidemill_worker import metrics
from tidemill_worker.ledger import Ledger

STUCK_SECONDS = 30.0


class Health:
    """What the probes answer. `ready` is asked for each readiness probe."""

    def __init__(self, ledger: Ledger, ready: Callable[[], bool]) -> None:
        """Watch the handlers of `ledger`'s runs."""
        self._ledger = ledger
        self._ready = ready
        self._beat_at = time.monotonic()
        self._loop_turned_at = self._beat_at
        self._asked_at: float | None = None

    def turned(self, home: asyncio.AbstractEventLoop) -> None:
        """Note that the heart's loop turns, and ask the worker's loop whether it does."""
        self._beat_at = time.monotonic()
        if self._asked_at is None:
            self._asked_at = self._beat_at
            home.call_soon_threadsafe(self._loop_turned)

    @property
    def blocked_seconds(self) -> float:
        """For how long the worker's loop has owed an answer; 0 when it owes none."""
        asked_at = self._asked_at
        return 0.0 if asked_at is None else time.monotonic() - asked_at

    def _loop_turned(self) -> None:
        self._loop_turned_at = time.monotonic()
        asked_at, self._asked_at = self._asked_at, None
        if asked_at is not None:
            metrics.LOOP_LAG.observe(self._loop_turned_at - asked_at)

    @property
    def ready(self) -> bool:
        """Whether the worker has started and is not on its way out."""
        return self._ready()

    def sick(self) -> str | None:
        """Return what is wrong with this process, or None when it lives."""
        now = time.monotonic()
        if now - self._beat_at > STUCK_SECONDS:
            return f"no heartbeat was tried for {now - self._beat_at:.0f} s"
        for run in self._ledger.runs():
            if run.concluded or now < run.timeout_at + STUCK_SECONDS:
                continue
            if self._loop_turned_at < run.timeout_at:
                return (
                    f"task {run.task.id} ({run.task.type}) blocks the event loop past its timeout"
                )
        return None


class Probes:
    """`/healthz`, `/readyz` and `/metrics` on the probe port; nothing when that is 0."""

    def __init__(self, settings: Settings, health: Health) -> None:
        """Serve `health`."""
        self._host, self._port = settings.probe_host, settings.probe_port
        self._health = health
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen. Raises ConfigurationError when the port is taken."""
        if not self._port:
            return
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self.stop()
            reason = error.strerror or str(error)
            raise ConfigurationError(
                f"TIDEMILL_PROBE_PORT must be free: {self._host}:{self._port} {reason}"
            ) from error

    async def stop(self) -> None:
        """Stop listening."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        sick = self._health.sick()
        return web.Response(text=f"{sick or 'ok'}\n", status=503 if sick else 200)

    async def _readyz(self, _: web.Request) -> web.Response:
        if self._health.ready:
            return web.Response(text="ok\n")
        return web.Response(text="starting or draining\n", status=503)

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )
