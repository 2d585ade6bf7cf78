"""Worker processes in great number: `tidemill worker`, forked from a process that has it imported.

    python -m bench.scaling.nursery

reads a line a command from its standard input. `start` has the variables and arguments of a worker
as JSON behind it and is answered by the worker's process id; `stop ID` sends it SIGTERM. When its
input ends all workers end. A fork spares most of what a worker's start costs, its imports, which
would be nearly all that a run with thousands of starts does.
"""

import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

from bench.case import BenchError
from bench.stopping import stop
from tidemill_cli import __main__ as tidemill
from tidemill_cli.commands import worker as _imported
from tidemill_cli.local import launch

ROOT = Path(__file__).resolve().parents[2]
LEAVE_SECONDS = 15.0

del _imported  # only so that it is there before the first fork


class Nursery:
    """The asking side."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        """Speak with a running nursery."""
        self._process = process
        self._asking = asyncio.Lock()

    async def start(self, variables: Mapping[str, str], arguments: Sequence[str]) -> int:
        """Start a worker and return its process id. Raises BenchError."""
        assert self._process.stdout is not None  # noqa: S101 - it was asked for
        async with self._asking:
            self._say(f"start {json.dumps([dict(variables), list(arguments)])}")
            answer = await self._process.stdout.readline()
        if not answer:
            raise BenchError("the nursery of workers ended")
        return int(answer)

    def stop(self, pid: int) -> None:
        """Tell a worker to stop; nothing happens to one that has ended."""
        self._say(f"stop {pid}")

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None  # noqa: S101 - it was asked for
        self._process.stdin.write(f"{line}\n".encode())


@asynccontextmanager
async def nursery() -> AsyncGenerator[Nursery]:
    """Yield a nursery; its workers end with it. What they log is shown when something failed."""
    with tempfile.TemporaryFile("w+") as log:
        program = [sys.executable, "-m", "bench.scaling.nursery"]
        process = await asyncio.create_subprocess_exec(
            *launch.command(program, signal=signal.SIGTERM),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )
        assert process.stdin is not None  # noqa: S101 - it was asked for
        try:
            yield Nursery(process)
        except BenchError as error:
            log.seek(0)
            raise BenchError(f"{error}\n{log.read()[-3000:]}") from None
        finally:
            process.stdin.close()
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), LEAVE_SECONDS * 2)
            await stop(process)


def main() -> None:
    """Start and stop workers as told, until the input ends."""
    children = set[int]()
    try:
        for line in sys.stdin:
            verb, _, rest = line.partition(" ")
            _reap(children)
            if verb == "start":
                variables, arguments = json.loads(rest)
                children.add(pid := _fork(variables, arguments))
                sys.stdout.write(f"{pid}\n")
                sys.stdout.flush()
            elif int(rest) in children:
                os.kill(int(rest), signal.SIGTERM)
    finally:
        _end(children)


def _fork(variables: Mapping[str, str], arguments: list[str]) -> int:
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _become_worker(parent, variables, arguments)
    return pid


def _become_worker(parent: int, variables: Mapping[str, Any], arguments: list[str]) -> NoReturn:
    try:
        launch.bind_to_parent(parent, signal.SIGKILL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(2, 1)  # standard output carries the answers
        os.environ.update(variables)
        code = tidemill.run(["worker", *arguments])
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    os._exit(code)


def _reap(children: set[int]) -> None:
    """Forget who has ended: its id may be another's soon."""
    for pid in tuple(children):
        if os.waitpid(pid, os.WNOHANG)[0]:
            children.remove(pid)


def _end(children: set[int]) -> None:
    ends = time.monotonic() + LEAVE_SECONDS
    number = signal.SIGTERM
    while children:
        for pid in children:
            os.kill(pid, number)
        while children and (time.monotonic() < ends or number == signal.SIGKILL):
            _reap(children)
            time.sleep(0.05)
        number = signal.SIGKILL


if __name__ == "__main__":
    main()
