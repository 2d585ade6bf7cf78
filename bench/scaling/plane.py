"""An API server without nodes and the operator beside it, for as long as a case takes."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from bench.case import BenchError
from bench.subject import Say
from bench.target import Target
from tests.support.control_plane import (
    ControlPlane,
    Operator,
    control_plane,
    missing,
    operator_account,
)
from tidemill.settings import Settings

TICK_SECONDS = Settings().operator_tick_seconds


@asynccontextmanager
async def operated(target: Target, say: Say) -> AsyncGenerator[ControlPlane]:
    """Yield a control plane whose TaskQueues an operator on `target` serves; all ends at the end.

    Raises BenchError where this machine cannot have one.
    """
    async with operating(target, say) as (plane, _):
        yield plane


@asynccontextmanager
async def operating(target: Target, say: Say) -> AsyncGenerator[tuple[ControlPlane, Operator]]:
    """Yield what `operated` does, and the operator."""
    if reason := missing():
        raise BenchError(reason)
    with tempfile.TemporaryDirectory(prefix="tidemill-bench-") as folder, told():
        say("starting a control plane (the first time, its programs are built)")
        state = Path(folder)
        with control_plane(state / "plane") as plane:
            account = await asyncio.to_thread(operator_account, plane, state)
            operator = Operator(
                account,
                target.url,
                state / "operator.log",
                # As users have it; the tests are in more of a hurry.
                TIDEMILL_OPERATOR_TICK_SECONDS=str(TICK_SECONDS),
            )
            await asyncio.to_thread(operator.start)
            try:
                yield plane, operator
            finally:
                operator.kill()
            if "Traceback" in operator.said():
                raise BenchError(f"the operator failed: {operator.said()[-2000:]}")


@contextmanager
def told() -> Generator[None]:
    """Tell what the tests' tools missed as an error of the benchmark."""
    try:
        yield
    except AssertionError as error:
        raise BenchError(str(error)) from error
