"""A Postgres of our own on this machine: made on first use, kept between runs, ours to stop.

    data_dir/postgres        the cluster
    data_dir/password        of the superuser `tidemill` (mode 0600)
    data_dir/postgres.log    what the server says
    data_dir/port            the port of the last start
    data_dir/lock            held while a server is meant to run here

The server listens on 127.0.0.1 only, on the port of the last start or another that is free, and
asks for the password. It is our direct child and is told to shut down when we die, so nothing
outlives a killed `tidemill up`; Postgres itself recovers from a crash, and what a dead server left
behind is cleared at the next start.
"""

import contextlib
import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from tidemill.errors import ConfigurationError, DatabaseUnavailable
from tidemill_cli.local import cluster, launch
from tidemill_cli.local.account import Account, account_for
from tidemill_cli.local.installs import Install, choose
from tidemill_cli.local.postgres_port import HOST, free_port, kept_port

__all__ = ["HOST", "EmbeddedPostgres", "free_port", "url_of_running", "wait_for_predecessor"]

_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_GONE_SECONDS = 15.0
_LOOK_SECONDS = 0.02
_PID_FILE_LINES = 8  # pid, folder, start, port, socket folder, address, shared memory, state
_MOST_LOG_BYTES = 10_000_000


class EmbeddedPostgres:
    """One server on the files in `data_dir`. It may be stopped and started again: same port.

    Args:
        data_dir: an absolute folder; made when missing.
        install: whose programs to use; default: the best found that fits the data.
        options: server settings (`{"max_connections": "300"}`), on top of our own.
        throwaway: no fsync at all, for tests: a power cut destroys the data.
        port: the port of 127.0.0.1 to listen on; 0 = a free one.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        install: Install | None = None,
        options: Mapping[str, str] | None = None,
        throwaway: bool = False,
        port: int = 0,
    ) -> None:
        """Keep what to run; nothing is touched before `start`."""
        self.data_dir = data_dir
        self.data = data_dir / "postgres"
        self.install = install
        self.port = port
        self._options = _options(throwaway=throwaway) | dict(options or {})
        self._throwaway = throwaway
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: IO[str] | None = None
        self._password = ""
        self._log_start = 0

    def __enter__(self) -> Self:
        """Start the server."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the server."""
        self.stop()

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def url(self, database: str = cluster.DATABASE) -> str:
        """Return the address of `database`, password included: never log it."""
        return _url(self._password, self.port, database)

    def start(self) -> None:
        """Start the server and return when it answers; at once if it runs already.

        Raises ConfigurationError (no server to run, files that do not fit, files in use) or
        DatabaseUnavailable (it did not start; the message has its own last words).
        """
        if self.pid is not None:
            return
        _make_folder(self.data_dir)
        self._lock = _locked(self.data_dir / "lock")
        try:
            self._start(account_for(self.data))
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End all sessions, shut down cleanly, return when the server is gone. Never raises."""
        if (process := self._process) is not None:
            for how, seconds in (
                (signal.SIGINT, _STOP_SECONDS),
                (signal.SIGQUIT, _STOP_SECONDS),
                (signal.SIGKILL, None),
            ):
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(how)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(seconds)
                    break
            self._process = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def crash(self) -> None:
        """Kill the server without any shutdown, as a power cut would; for tests of recovery."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
            self._process = None
        self.stop()

    def _start(self, account: Account) -> None:
        if not account.may_enter(self.data_dir):
            raise ConfigurationError(
                f"{self.data_dir}: the account that runs Postgres for root (uid {account.uid}) "
                "cannot enter this folder or one above it; choose another with TIDEMILL_DATA_DIR"
            )
        wait_for_predecessor(self.data, _GONE_SECONDS)
        self.install = self.install or choose(account, major=cluster.major_of(self.data))
        self._ensure_cluster(account, self.install)
        self.port = self.port or self._usual_port()
        self._launch(account, self.install)
        self._wait_until_ready()

    def _usual_port(self) -> int:
        return free_port() if self._throwaway else kept_port(self.data_dir / "port")

    def _ensure_cluster(self, account: Account, install: Install) -> None:
        kept = self.data_dir / "password"
        known = kept.exists()
        self._password = cluster.ensure_password(kept)
        if cluster.major_of(self.data) is None:
            sync = not self._throwaway
            cluster.create(self.data, install, account, self._password, sync=sync)
        elif not known:
            cluster.set_password(self.data, install, account, self._password)

    def _launch(self, account: Account, install: Install) -> None:
        options = self._options | {"listen_addresses": HOST, "port": str(self.port)}
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        program = [install.program("postgres"), "-D", str(self.data), *arguments]
        with _log_file(self.data_dir / "postgres.log") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(  # noqa: S603 - a path that we looked up
                launch.command(program, signal=signal.SIGINT, user=account.user),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in the terminal is ours to pass on, in order
            )

    def _wait_until_ready(self) -> None:
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end:
            if self.pid is None:
                raise DatabaseUnavailable(f"the local Postgres did not start: {self.last_words()}")
            if _is_ready(self.data, self.pid):
                return
            time.sleep(_LOOK_SECONDS)
        raise DatabaseUnavailable(f"the local Postgres was not ready within {_START_SECONDS:g} s")

    def last_words(self) -> str:
        """Return what the server's log says was wrong since the last start."""
        with (self.data_dir / "postgres.log").open("rb") as log:
            log.seek(self._log_start)
            lines = log.read().decode(errors="replace").splitlines()
        told = [line for line in lines if "FATAL" in line or "PANIC" in line] or lines
        return told[-1] if told else "it said nothing"


def url_of_running(data_dir: Path) -> str | None:
    """Return the address of the server that runs on `data_dir` now, password included, or None."""
    data = data_dir / "postgres"
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
        password = (data_dir / "password").read_text().strip()
    except OSError:
        return None
    if len(lines) < _PID_FILE_LINES or not _serves(int(lines[0]), data):
        return None
    return _url(password, int(lines[3]), cluster.DATABASE)


def _url(password: str, port: int, database: str) -> str:
    return f"postgresql://{cluster.SUPERUSER}:{password}@{HOST}:{port}/{database}"


def wait_for_predecessor(data: Path, seconds: float) -> None:
    """Wait for the end of a server that still runs on `data`; clear the mark of a dead one.

    A killed `tidemill up` leaves a server that is just shutting down: that one we wait for.
    Raises ConfigurationError when it is still there after `seconds`.
    """
    mark = data / "postmaster.pid"
    end = time.monotonic() + seconds
    while (pid := _marked_pid(mark)) is not None:
        if not _serves(pid, data):
            mark.unlink(missing_ok=True)
            return
        if time.monotonic() > end:
            raise ConfigurationError(f"{data}: a Postgres server (pid {pid}) already runs on it")
        time.sleep(_LOOK_SECONDS)


def _marked_pid(mark: Path) -> int | None:
    try:
        return abs(int(mark.read_text().splitlines()[0]))
    except (OSError, IndexError, ValueError):
        return None


def _serves(pid: int, data: Path) -> bool:
    """Whether `pid` is a server on `data`, and not a newer process with the same number."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False  # gone, or of an account that our server does not run as
    try:
        return Path(f"/proc/{pid}/cwd").readlink() == data.resolve()
    except OSError:
        return True  # alive, and no /proc to ask: Postgres decides by its shared memory


def _is_ready(data: Path, pid: int) -> bool:
    """Read what `pg_ctl -w` reads: the last line of the server's own pid file."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except OSError:
        return False
    whole = len(lines) >= _PID_FILE_LINES
    return whole and lines[0] == str(pid) and lines[7].strip() == "ready"


def _options(*, throwaway: bool) -> dict[str, str]:
    options = {"unix_socket_directories": "", "log_timezone": "UTC", "timezone": "UTC"}
    if throwaway:
        options |= {"fsync": "off", "full_page_writes": "off", "autovacuum_naptime": "5s"}
    return options


def _make_folder(folder: Path) -> None:
    """Make `folder`; root's may be entered, not read, by the account that runs the server."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o711 if os.geteuid() == 0 else 0o700)
    except OSError as error:
        raise ConfigurationError(f"{folder}: {error.strerror}") from None


def _locked(path: Path) -> IO[str]:
    lock = path.open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise ConfigurationError(
            f"{path.parent}: another `tidemill up` is using this folder; stop it, "
            "or choose another with TIDEMILL_DATA_DIR"
        ) from None
    return lock


def _log_file(path: Path) -> IO[bytes]:
    if path.exists() and path.stat().st_size > _MOST_LOG_BYTES:
        path.rename(path.with_name(f"{path.name}.1"))
    return path.open("ab")
