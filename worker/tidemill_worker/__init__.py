"""Runs tasks: claims them in batches, heartbeats, records outcomes in batches, drains.

A lease's way through this package, one module each:

    dispatcher   claims as many tasks as there is room for; one claim loop a process
    ledger       knows every lease this process holds, from claim to acknowledged outcome
    slots        runs at most `concurrency` of them at once, in order
    executor     decode -> run (coroutines, threads) -> conclude: ends in a `Finish`
    processes    handlers in processes of their own, which a timeout kills
    watch        stops handlers that run past their timeout
    finisher     records outcomes, batched by arrival, whatever the database does meanwhile
    heart        own thread, own connection: extends leases, hears of lost ones, serves the probes
    drain        how all this ends without charging anybody a retry
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tidemill_worker.worker import Worker

__all__ = ["Worker"]


def __getattr__(name: str) -> Any:
    """Resolve `Worker` at first use: a handler process needs none."""
    if name != "Worker":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tidemill_worker.worker import Worker  # noqa: PLC0415 - only when it is asked for

    return Worker
