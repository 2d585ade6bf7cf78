"""The program between a worker and a handler process: run by its path, standard library only.

It reads one JSON object from its standard input (`Start` of process.py), forks the handler process
and then waits: for the end of that process, for orders on the control channel, for the end of the
worker. Its last act is always the same: end everything that comes from the handler process, say
how that one ended, go.

Orders are lines: `limit BYTES` (0 = none; what the handler process and its children hold together),
`term`, `kill`. The answer is one line of JSON: `{"exit": 3}`, `{"signal": 9}` or
`{"held": 612000000, "limit": 500000000}`. The end of the channel is the end of the worker.
"""

import ctypes
import json
import os
import select
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

MEASURE_SECONDS = 0.05
END_SECONDS = 5.0
"""How long processes may take to go after SIGKILL (one may hang in the kernel)."""

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PAGE = os.sysconf("SC_PAGE_SIZE")
_LINUX = sys.platform == "linux"


class Guard:
    """Keeps the process `handler` until one of the two ends is reached."""

    def __init__(self, handler: int, control: socket.socket, worker: int) -> None:
        """Begin to hear of signals: the end of a child, and the kernel's word of our parent's."""
        self._handler, self._control, self._worker = handler, control, worker
        self._orders = b""
        self._limit = 0
        self._status: int | None = None
        self._over: dict[str, int] | None = None
        self._woken, wake = os.pipe()
        for end in (self._woken, wake):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, _wake_up)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def keep(self) -> dict[str, int]:
        """Return how the handler process ended; nothing that it started is left."""
        going = True
        while going and self._reap() and self._status is None:
            going = self._obeyed() and os.getppid() == self._worker and self._measured()
        self._end_all()
        if self._over is not None:
            return self._over
        code = os.waitstatus_to_exitcode(self._status or 0)
        return {"exit": code} if code >= 0 else {"signal": -code}

    def _reap(self) -> bool:
        """Take leave of children that have ended; return whether there are others."""
        try:
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == self._handler:
                    self._status = ended[1]
        except ChildProcessError:
            return False
        return True

    def _obeyed(self) -> bool:
        """Wait for something to happen; follow orders; return whether to go on."""
        pause = MEASURE_SECONDS if self._limit else None
        watched: list[Any] = [self._control, self._woken]
        ready, _, _ = select.select(watched, [], [], pause)
        if self._woken in ready:
            os.read(self._woken, 4096)
        if self._control not in ready:
            return True
        try:
            given = self._control.recv(4096)
        except OSError:
            return False
        *orders, self._orders = (self._orders + given).split(b"\n")
        going = [self._follow(order.split()) for order in orders]
        return bool(given) and all(going)

    def _follow(self, order: list[bytes]) -> bool:
        if order[0] == b"limit":
            self._limit = int(order[1])
        elif order[0] == b"term":
            _signal(os.killpg, self._handler, signal.SIGTERM)
        return order[0] != b"kill"

    def _measured(self) -> bool:
        """Return whether the handler process and its children are within the limit."""
        if not self._limit:
            return True
        total = sum(map(held, [self._handler, *descendants(self._handler)]))
        if total > self._limit:
            self._over = {"held": total, "limit": self._limit}
        return self._over is None

    def _end_all(self) -> None:
        """End the handler process's group, and on Linux those that left it: they are ours now."""
        until = time.monotonic() + END_SECONDS
        _signal(os.killpg, self._handler, signal.SIGKILL)
        while self._reap() and time.monotonic() < until:
            for each in descendants(os.getpid()):
                _signal(os.kill, each, signal.SIGKILL)
            time.sleep(0.002)


def held(pid: int) -> int:
    """Return the memory that a process holds, in bytes; 0 for one that has gone (or no Linux)."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def descendants(pid: int) -> list[int]:
    """Return the children of a process, and theirs; none where there is no /proc."""
    found: list[int] = []
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(each) for each in thread.read_text().split()]
        except OSError:
            continue
        for each in children:
            found += [each, *descendants(each)]
    return found


def main() -> None:
    """Fork the handler process and keep it."""
    try:
        start: dict[str, Any] = json.loads(sys.stdin.buffer.read())
    except ValueError:
        return  # the worker was killed while it started us
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    if _LINUX:
        _tell_kernel(_PR_SET_CHILD_SUBREAPER, 1)
        _tell_kernel(_PR_SET_PDEATHSIG, signal.SIGTERM)
    guard = os.getpid()
    handler = os.fork()
    if handler == 0:
        os.close(start["control"])
        _become_handler(start, guard)
    _signal(os.setpgid, handler, handler)  # it does so too: whoever comes first
    os.close(start["frames"])
    control = socket.socket(fileno=start["control"])
    ended = Guard(handler, control, start["worker"]).keep()
    try:
        control.sendall(json.dumps(ended).encode() + b"\n")
    finally:
        os._exit(0)


def _become_handler(start: dict[str, Any], guard: int) -> None:
    """Run tasks until there are no more, in a process group of its own."""
    os.setpgid(0, 0)
    if _LINUX:
        _tell_kernel(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != guard:
        os._exit(1)
    sys.path[:] = start["path"]
    from tidemill_worker.processes.child import main as run  # noqa: PLC0415 - the guard needs none

    run(start)
    sys.exit(0)


def _tell_kernel(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _signal(send: Any, target: int, number: int) -> None:
    try:
        send(target, number)
    except (ProcessLookupError, PermissionError):
        return  # gone, or somebody else's: a handler may have started a setuid program


def _wake_up(number: int, frame: object) -> None:
    """Do nothing: that the signal came wakes the guard."""


if __name__ == "__main__":
    main()
