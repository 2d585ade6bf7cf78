"""Starts a guard (and with it a handler process), and holds its two channels."""

import asyncio
import json
import os
import socket
import subprocess
import sys
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
    frames, its_frames = socket.socketpair()
    control, its_control = socket.socketpair()
    with its_frames, its_control:
        start = {
            "frames": its_frames.fileno(),
            "control": its_control.fileno(),
            "worker": os.getpid(),
            "path": sys.path,
            "origin": origin,
            "levels": levels,
        }
        process = _run(start)
    # an end of ours is open by now, so that neither call can wait
    reader, to_handler = await asyncio.open_connection(sock=frames)
    reports, to_guard = await asyncio.open_connection(sock=control)
    return Program(process, reader, reports, to_handler, to_guard)


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
