"""Starts a guard (and with it a handler process), and holds its two channels."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tidemill_worker.processes.wire import Frame

_GUARD = Path(__file__).with_name("guard.py")


@dataclass(frozen=True, slots=True)
class Program:
    """A guard that runs: what the handler process says, what the guard says, and our side."""

    process: "subprocess.Popen[bytes]"
    frames: asyncio.StreamReader
    reports: asyncio.StreamReader
    _to_handler: asyncio.StreamWriter
    _to_guard: asyncio.StreamWriter

    def send(self, frame: bytes) -> None:
        """Send to the handler process; nothing once it has gone."""
        if not self._to_handler.is_closing():
            self._to_handler.write(frame)

    def order(self, line: bytes) -> None:
        """Send to the guard; nothing once it has gone."""
        if not self._to_guard.is_closing():
            self._to_guard.write(line)

    def close(self) -> None:
        """Close the channels and take leave of the guard, which has said its last word."""
        self._to_handler.close()
        self._to_guard.close()
        self.process.wait()


async def begin(origin: Frame, levels: dict[str, int]) -> Program:
    """Start a guard; its handler process finds handlers by `origin` and logs as `levels` say."""
    with ExitStack() as theirs, ExitStack() as ours:
        frames, reader, to_handler = await _channel(theirs, ours)
        control, reports, to_guard = await _channel(theirs, ours)
        start = {
            "frames": frames.fileno(),
            "control": control.fileno(),
            "worker": os.getpid(),
            "path": [str(each) for each in sys.path],
            "origin": origin,
            "levels": levels,
        }
        process = _run(start)  # the last step: a caller cancelled before it leaves nothing behind
        ours.pop_all()
    return Program(process, reader, reports, to_handler, to_guard)


async def _channel(
    theirs: ExitStack, ours: ExitStack
) -> tuple[socket.socket, asyncio.StreamReader, asyncio.StreamWriter]:
    """Return the end to hand on, and what to read from and write to here."""
    here, there = socket.socketpair()
    theirs.enter_context(there)
    try:
        reader, writer = await asyncio.open_connection(sock=here)
    except BaseException:
        here.close()
        raise
    ours.callback(writer.close)
    return there, reader, writer


def _run(start: Frame) -> "subprocess.Popen[bytes]":
    """Run the guard. Its output goes where ours goes; a terminal's signals do not reach it."""
    process = subprocess.Popen(  # noqa: S603 - ourselves
        [sys.executable, "-P", str(_GUARD)],
        stdin=subprocess.PIPE,
        pass_fds=(start["frames"], start["control"]),
        start_new_session=True,
    )
    if process.stdin is not None:
        with process.stdin as stdin:
            stdin.write(json.dumps(start).encode())
    return process
