"""PgBouncer in transaction mode in front of a test's server."""

import signal
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import psycopg

from tests.support import machine
from tests.support.waiting import until
from tidemill_cli.local import launch
from tidemill_cli.local.account import account_for
from tidemill_cli.local.postgres import HOST, free_port

SERVER_SESSIONS = 2
"""Sessions with Postgres that all clients share: few, so that they change hands all the time."""

_CONFIG = """
[databases]
* = host={host} port={server_port}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
pool_mode = transaction
default_pool_size = {sessions}
max_client_conn = 300
auth_type = scram-sha-256
auth_file = {folder}/users.txt
admin_users = {user}
server_login_retry = 0.2
query_wait_timeout = {wait_seconds}
"""


class PgBouncer:
    """A running PgBouncer. It may be stopped and started again: same port."""

    def __init__(self, folder: Path, server_url: str, *, sessions: int, wait_seconds: int) -> None:
        self._server = urlsplit(server_url)
        self._folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._write_config(sessions, wait_seconds)

    def url(self, database: str) -> str:
        """Return the address of a database through the pooler."""
        login = self._server.netloc.rpartition("@")[0]
        netloc = f"{login}@{HOST}:{self.port}"
        return urlunsplit(self._server._replace(netloc=netloc, path=f"/{database}"))

    def start(self) -> None:
        """Start it and return when it answers."""
        account = account_for(self._folder / "data")
        with (self._folder / "pgbouncer.log").open("ab") as log:
            self._process = subprocess.Popen(
                launch.command(
                    [machine.pgbouncer(), str(self._folder / "pgbouncer.ini")],
                    signal=signal.SIGQUIT,
                    user=account.user,
                ),
                stdout=log,
                stderr=log,
            )
        until(self._answers, seconds=60, what="PgBouncer answers")

    def stop(self) -> None:
        """End it at once, with all its clients."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(60)
            self._process = None

    def show(self, what: str) -> list[dict[str, Any]]:
        """Return the rows of a SHOW on its console."""
        with psycopg.connect(self.url("pgbouncer"), autocommit=True) as console:
            found = console.execute(f"SHOW {what}".encode())
            names = [each.name for each in found.description or ()]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def _answers(self) -> bool:
        log = (self._folder / "pgbouncer.log").read_text()
        assert self._process is not None
        assert self._process.poll() is None, log
        return "process up" in log.rpartition("got SIG")[2]

    def _write_config(self, sessions: int, wait_seconds: int) -> None:
        user, password = self._server.username or "", unquote(self._server.password or "")
        config = _CONFIG.format(
            host=self._server.hostname,
            server_port=self._server.port,
            port=self.port,
            folder=self._folder,
            user=user,
            sessions=sessions,
            wait_seconds=wait_seconds,
        )
        (self._folder / "pgbouncer.ini").write_text(config)
        (self._folder / "users.txt").write_text(f'"{user}" "{password}"\n')


@contextmanager
def pgbouncer(
    server_url: str, *, sessions: int = SERVER_SESSIONS, wait_seconds: int = 60
) -> Generator[PgBouncer]:
    """Run a PgBouncer in front of the server of `server_url`.

    Who has waited for a session for `wait_seconds` is sent away.
    """
    with tempfile.TemporaryDirectory(prefix="tidemill-pgbouncer-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        running = PgBouncer(folder, server_url, sessions=sessions, wait_seconds=wait_seconds)
        running.start()
        try:
            yield running
        finally:
            running.stop()
