"""The worker's probes and metrics, served from threads of their own.

Never from the loop that runs handlers: a probe tells about handlers that block that loop, and must
answer while they do. Neither does a probe ask the database: its absence must not make busy pods
the first victims.
"""

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from tidemill.errors import ConfigurationError
from tidemill.metrics import REGISTRY
from tidemill.settings import Settings
from tidemill_worker import metrics
from tidemill_worker.ledger import Ledger

STUCK_SECONDS = 30.0
STOP_SECONDS = 0.1
"""How often the server looks whether it is to stop."""

SLOWEST_SECONDS = 10.0
"""A connection that says nothing for so long is closed."""

log = logging.getLogger(__name__)


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
        self._server: _Server | None = None

    async def start(self) -> None:
        """Listen. Raises ConfigurationError when the port is taken."""
        if not self._port:
            return
        try:
            self._server = _Server(self._host, self._port, self._health)
        except OSError as error:
            reason = error.strerror or str(error)
            raise ConfigurationError(
                f"TIDEMILL_PROBE_PORT must be free: {self._host}:{self._port} {reason}"
            ) from error
        serve = partial(self._server.serve_forever, poll_interval=STOP_SECONDS)
        threading.Thread(target=serve, name="tidemill-probes", daemon=True).start()

    async def stop(self) -> None:
        """Stop listening."""
        server, self._server = self._server, None
        if server is not None:
            await asyncio.to_thread(server.shutdown)
            server.server_close()


class _Server(ThreadingHTTPServer):
    """A thread a connection. The standard library's: a worker's start waits for no other's."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, host: str, port: int, health: Health) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.health = health
        super().__init__((host, port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what a connection ended with; who hangs up is no error of ours."""
        del request
        log.debug("the connection of %s broke off", client_address)


class _Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    server: Any  # a _Server
    timeout = SLOWEST_SECONDS
    server_version = "tidemill"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer a probe, or a scrape."""
        health = self.server.health
        path = self.path.partition("?")[0]
        if path == "/healthz":
            sick = health.sick()
            self._answer(503 if sick else 200, f"{sick or 'ok'}\n".encode())
        elif path == "/readyz":
            said = b"ok\n" if health.ready else b"starting or draining\n"
            self._answer(200 if health.ready else 503, said)
        elif path == "/metrics":
            self._answer(200, generate_latest(REGISTRY), CONTENT_TYPE_LATEST)
        else:
            self._answer(404, b"there are /healthz, /readyz and /metrics\n")

    def do_HEAD(self) -> None:
        """Answer as to GET, without the body."""
        self.do_GET()

    def _answer(self, status: int, body: bytes, kind: str = "text/plain; charset=utf-8") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class names it
        """Say nothing: probes come every second."""
