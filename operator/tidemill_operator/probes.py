"""The operator's probes: /healthz judged by real progress of the loop, /readyz, and /metrics.

One that stands by is healthy and ready: it acts when its turn comes.
"""

import logging
from collections.abc import Callable
from typing import Protocol

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from tidemill.errors import ConfigurationError
from tidemill.metrics import REGISTRY
from tidemill.service import Service

log = logging.getLogger(__name__)

STALLED_SECONDS = 60.0
"""A step may wait for slow calls, but each has its timeout: beyond this the loop hangs."""


class Leads(Protocol):
    """What the probes tell of who acts."""

    @property
    def term(self) -> int | None:
        """The term while this operator acts, None while it stands by."""
        ...

    @property
    def ready(self) -> bool:
        """Whether it acts or would when its turn comes."""
        ...


class Probes(Service):
    """Serves the probes; `seconds_since_progress` says how long the loop made no progress."""

    name = "probes"

    def __init__(
        self, host: str, port: int, leads: Leads, seconds_since_progress: Callable[[], float]
    ) -> None:
        """Nothing is bound before `start`."""
        self._leads = leads
        self._host = host
        self._port = port
        self._seconds_since_progress = seconds_since_progress
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen. Raises ConfigurationError when the port is taken."""
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port).start()
        except OSError as error:
            await runner.cleanup()
            raise ConfigurationError(
                f"TIDEMILL_OPERATOR_PROBE_PORT must be free (got {self._port}): {error.strerror}"
            ) from error
        self._runner = runner

    async def stop(self) -> None:
        """Stop listening."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        seconds = self._seconds_since_progress()
        healthy = seconds < STALLED_SECONDS
        word = "ok" if healthy else "stalled"
        body = {"status": word, "seconds_since_progress": round(seconds, 1)}
        return web.json_response(body, status=200 if healthy else 503)

    async def _readyz(self, _: web.Request) -> web.Response:
        role = "standing by" if self._leads.term is None else "acting"
        body = {"status": role if self._leads.ready else "the Lease cannot be used"}
        return web.json_response(body, status=200 if self._leads.ready else 503)

    async def _metrics(self, _: web.Request) -> web.Response:
        headers = {"Content-Type": CONTENT_TYPE_LATEST}
        return web.Response(body=generate_latest(REGISTRY), headers=headers)
