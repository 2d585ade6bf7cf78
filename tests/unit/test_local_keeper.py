"""Keeping a child alive: started again when it ends, stopped when asked, killed when deaf."""

import asyncio
import io
import os
import signal
import sys
from collections.abc import Callable

import pytest

from tests.support.worker import eventually
from tidemill_cli.local.child import Child
from tidemill_cli.local.keeper import ChildError, Keeper
from tidemill_cli.local.printer import Printer


class Scripted(Child):
    """A child that runs a line of Python in place of a tidemill command."""

    def __init__(self, script: str, printer: Printer) -> None:
        super().__init__("child", [], os.environ, printer, orphan_signal=signal.SIGKILL)
        self._program = [sys.executable, "-c", script]


async def kept(
    script: str, act: Callable[[Scripted], bool], **options: bool
) -> tuple[str, list[int]]:
    """Keep a scripted child, call `act` until it says True; return the output and the dead."""
    said = io.StringIO()
    stopping = asyncio.Event()
    dead: list[int] = []

    async def mourn(pid: int) -> None:
        dead.append(pid)

    child = Scripted(script, Printer(said))
    keeper = Keeper(child, stopping, Printer(said), mourn, **options)
    running = asyncio.create_task(keeper.run())
    await eventually(lambda: act(child) or running.done(), seconds=60)
    stopping.set()
    await child.stop(5)
    await running
    return said.getvalue(), dead


def never(child: Scripted) -> bool:
    del child
    return False


async def test_a_child_that_ends_is_started_again_and_its_end_is_told() -> None:
    starts: set[int] = set()

    def act(child: Scripted) -> bool:
        starts.update({child.pid} if child.pid else ())
        return len(starts) == 2

    said, dead = await kept("print('here'); raise SystemExit(7)", act)
    assert "child ended with exit code 7; starting it again in 0.5 s" in said
    assert "child     | here" in said
    assert set(dead) & starts


@pytest.mark.parametrize("code", [2, 4])
async def test_a_child_whose_fault_stays_is_not_started_again(code: int) -> None:
    with pytest.raises(ChildError, match=f"child ended with exit code {code}"):
        await kept(f"raise SystemExit({code})", never)


async def test_a_child_that_must_live_gets_one_chance() -> None:
    with pytest.raises(ChildError, match="exit code 1"):
        await kept("raise SystemExit(1)", never, patient=False)


async def test_a_child_that_will_not_stop_is_killed() -> None:
    said = io.StringIO()
    stubborn = Scripted(
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "print('deaf', flush=True); time.sleep(600)",
        Printer(said),
    )
    await stubborn.start()
    await eventually(lambda: "deaf" in said.getvalue(), seconds=60)
    assert await stubborn.stop(0.1) is False
    assert not stubborn.running
