"""Background processes that are known again later, by other commands, beyond any doubt.

A process is recorded by its id, its start time and the machine's boot id, so that a later
process with the same id is never taken for it. The record is written by the new process
itself, before it becomes the program: there is no moment in which it runs unrecorded, even
if this command is killed in between.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.errors import StepError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from testbed.paths import State

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# $0 is the record's path, $1 its cgroup's file; the rest is the program. The rename makes the
# record whole or absent.
RECORD_THEN_RUN = (
    f'cat {BOOT_ID} /proc/$$/stat > "$0.new" && mv "$0.new" "$0" && '
    'echo $$ > "$1" && shift && exec "$@"'
)
KILL_SECONDS = 60.0
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Identity:
    """One process of all that ever ran: `start` is in clock ticks since boot."""

    pid: int
    start: int
    boot: str


@dataclass(frozen=True)
class Place:
    """Where a process runs.

    `enter` is a command that runs its arguments there without forking (`nsenter …`); `cgroup`
    is the file that takes the process's id.
    """

    enter: tuple[str, ...] = ()
    cgroup: Path = Path("/dev/null")


def parse_record(text: str) -> Identity | None:
    """Read a record (the boot id, then the line of /proc/PID/stat); None when it is none."""
    boot, _, stat = text.partition("\n")
    fields = _after_name(stat)
    try:
        return Identity(int(stat.split(" ", 1)[0]), int(fields[19]), boot)
    except (ValueError, IndexError):
        return None


def _after_name(stat: str) -> list[str]:
    """Return the fields after the program's name, which may itself hold blanks and brackets."""
    return stat.rpartition(")")[2].split()


def is_running(identity: Identity) -> bool:
    """Tell whether exactly this process is there and not a zombie."""
    try:
        stat = Path(f"/proc/{identity.pid}/stat").read_text()
        boot = BOOT_ID.read_text().strip()
    except OSError:
        return False
    fields = _after_name(stat)
    return boot == identity.boot and int(fields[19]) == identity.start and fields[0] not in "ZX"


def recorded(state: State) -> dict[str, Identity]:
    """Return the recorded processes by name, running or not."""
    found = {file.name: parse_record(file.read_text()) for file in _records(state)}
    return {name: identity for name, identity in found.items() if identity is not None}


def _records(state: State) -> list[Path]:
    return sorted(p for p in state.processes.glob("*") if p.suffix != ".new")


def running(state: State, name: str) -> Identity | None:
    """Return the identity of a recorded process if it runs."""
    identity = recorded(state).get(name)
    return identity if identity is not None and is_running(identity) else None


def spawn(state: State, name: str, argv: Sequence[str], place: Place) -> None:
    """Start a program in the background, recorded as `name`, with its output in the log.

    Args:
        state: the cluster's folder, which is also the program's working folder.
        name: the name of the record and of the log.
        argv: the program.
        place: the namespaces and the cgroup in which it runs.
    """
    state.processes.mkdir(parents=True, exist_ok=True)
    state.logs.mkdir(parents=True, exist_ok=True)
    record = state.processes / name
    record.unlink(missing_ok=True)
    with state.log(name).open("wb") as log:
        child = subprocess.Popen(
            [*place.enter, "sh", "-c", RECORD_THEN_RUN, str(record), str(place.cgroup), *argv],
            cwd=state.root,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    _await_record(record, child, f"start {name}", state.log(name))


def _await_record(record: Path, child: subprocess.Popen[bytes], step: str, log: Path) -> None:
    while not record.exists():
        if child.poll() is not None and not record.exists():
            raise StepError(step, f"ended with code {child.returncode}", log)
        time.sleep(0.005)
    # The process outlives this one on purpose: without this, Python warns of a forgotten child.
    child.returncode = 0


def wait_until(
    ready: Callable[[], bool], *, step: str, seconds: float, state: State, names: Sequence[str]
) -> None:
    """Wait until `ready` says so, as long as all the named processes run.

    Raises:
        StepError: a process ended or the time is over; carries the log of the one to blame.
    """
    end = time.monotonic() + seconds
    while not ready():
        for name in names:
            if running(state, name) is None:
                raise StepError(step, f"{name} ended", state.log(name))
        if time.monotonic() > end:
            raise StepError(step, f"not ready after {seconds:.0f} s", state.log(names[-1]))
        time.sleep(POLL_SECONDS)


def stop(state: State, names: Iterable[str], *, grace_seconds: float = 0.0) -> None:
    """Stop recorded processes: SIGTERM and the grace, then SIGKILL; no grace, no SIGTERM.

    Those that do not run are left alone. The records are removed.

    Raises:
        StepError: a process survived SIGKILL for 60 s.
    """
    wanted = set(names)
    chosen = {n: identity for n, identity in recorded(state).items() if n in wanted}
    handles = {name: fd for name, i in chosen.items() if (fd := _handle(i)) is not None}
    try:
        if grace_seconds > 0:
            _signal_and_wait(handles, signal.SIGTERM, grace_seconds)
        left = _signal_and_wait(handles, signal.SIGKILL, KILL_SECONDS)
    finally:
        for fd in handles.values():
            os.close(fd)
    if left:
        raise StepError("stop", f"{', '.join(left)} survived SIGKILL for {KILL_SECONDS:.0f} s")
    for name in wanted:
        (state.processes / name).unlink(missing_ok=True)


def _handle(identity: Identity) -> int | None:
    """Return a file descriptor that means this process, whatever becomes of its id."""
    try:
        fd = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        return None
    if is_running(identity):  # asked after opening: from here on the descriptor is right
        return fd
    os.close(fd)
    return None


def _signal_and_wait(handles: dict[str, int], number: signal.Signals, seconds: float) -> list[str]:
    """Signal all, wait for their ends together, and return the names of those left."""
    for fd in handles.values():
        try:
            signal.pidfd_send_signal(fd, number)
        except ProcessLookupError:
            continue
    end = time.monotonic() + seconds
    while left := [name for name, fd in handles.items() if not _ended(fd)]:
        if time.monotonic() > end:
            return left
        time.sleep(0.02)
    return []


def _ended(fd: int) -> bool:
    """A descriptor of a process becomes readable when the process ends."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))
