"""Start a program that must not outlive its parent: `python -m tidemill_cli.local.launch`.

    launch [--user UID:GID] [--signal N] [--parent PID] -- PROGRAM ARGUMENT...

It gives up root for UID:GID if asked, arranges for the signal N to be sent when the parent dies
(whatever kills it, SIGKILL too), and becomes PROGRAM: same process id, no process in between.
On Linux the kernel sends the signal. Elsewhere a small watcher process looks once a second.
Standard library only: it runs as root before it runs as somebody else. `-P` keeps modules in the
current folder from standing in for the standard library's.
"""

import argparse
import ctypes
import os
import sys
import time
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1
_EXIT_CANNOT_RUN = 126


def command(
    program: Sequence[str], *, signal: int, user: tuple[int, int] | None = None
) -> list[str]:
    """Return the command line that runs `program` through this module, bound to this process."""
    options = ["--signal", str(int(signal)), "--parent", str(os.getpid())]
    if user is not None:
        options += ["--user", f"{user[0]}:{user[1]}"]
    return [sys.executable, "-P", "-m", "tidemill_cli.local.launch", *options, "--", *program]


def main(arguments: Sequence[str] | None = None) -> None:
    """Become the program, or exit with 126 and one line that says why not."""
    asked = _parser().parse_args(arguments)
    try:
        if asked.user is not None:
            _become(*asked.user)
        if asked.signal:
            bind_to_parent(asked.parent, asked.signal)
        os.execv(asked.program[0], asked.program)  # noqa: S606 - no shell is the point
    except OSError as error:
        sys.stderr.write(f"{asked.program[0]}: {error.strerror}\n")
        sys.exit(_EXIT_CANNOT_RUN)


def bind_to_parent(parent: int, signal: int, *, kernel: bool | None = None) -> None:
    """Have `signal` sent to this process when `parent` dies. `kernel=None`: where it can.

    Called after a change of user, because that clears what the kernel was told.
    """
    if sys.platform == "linux" if kernel is None else kernel:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, signal, 0, 0, 0):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    elif os.fork() == 0:
        _watch(parent, os.getppid(), signal)
    if os.getppid() != parent:  # it died before we had asked
        os.kill(os.getpid(), signal)


def _watch(parent: int, program: int, signal: int) -> None:
    """Wait for the end of one of the two; a watcher never returns to the caller's code."""
    os.closerange(0, 256)
    while os.getppid() == program and _lives(parent):
        time.sleep(1.0)
    if os.getppid() == program:
        os.kill(program, signal)
    os._exit(0)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _become(uid: int, gid: int) -> None:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def _user(text: str) -> tuple[int, int]:
    uid, _, gid = text.partition(":")
    return int(uid), int(gid)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="launch", description="Run PROGRAM until its parent dies."
    )
    parser.add_argument("--user", type=_user, help="UID:GID to run it as")
    parser.add_argument("--signal", type=int, default=0, help="signal to send; 0 = none")
    parser.add_argument("--parent", type=int, default=os.getppid(), help="whose death counts")
    parser.add_argument("program", nargs="+")
    return parser


if __name__ == "__main__":
    main()
