"""Progress and cancel: a long task says how far it is, and stops when it is told to.

Where TIDEMILL_DATABASE_URL names a database with the schema in it (`tidemill migrate`):

    tidemill worker examples.progress:app
    python -m examples.progress 40              # watch it to its end
    python -m examples.progress 4000 --cancel   # cancel it once it has begun
"""

import argparse
import asyncio
import time

from tidemill import App, Context
from tidemill.errors import TaskCancelled
from tidemill.sdk.handle import Handle
from tidemill.states import Status

LOOK_SECONDS = 0.2
ROW_SECONDS = 0.05

app = App()


@app.task(timeout_seconds=3600)
def import_rows(context: Context, rows: int) -> int:
    """Import rows, one after the other: a plain function, in a thread of the worker.

    Nothing can stop a thread, so it asks now and then whether it should: `raise_if_stopped` costs
    nothing, and ends it when the task was cancelled, has timed out or is another worker's.
    """
    for row in range(rows):
        context.raise_if_stopped()
        time.sleep(ROW_SECONDS)  # the work on one row
        context.progress(row + 1, rows, "rows")
    context.logger.info("imported %d rows", rows)
    return rows


async def watch(handle: Handle[int], *, cancel: bool) -> None:
    """Print the progress until the task has ended; with `cancel`, cancel it at the first."""
    shown = None
    while not (task := await handle.task()).status.final:
        if task.progress != shown and (shown := task.progress):
            print(f"{shown['done']} of {shown['total']} {shown['message']}", flush=True)
        if cancel and task.status is Status.RUNNING:
            await handle.cancel()
            cancel = False
        await asyncio.sleep(LOOK_SECONDS)


async def main() -> None:
    """Import as many rows as the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", type=int)
    parser.add_argument("--cancel", action="store_true")
    given = parser.parse_args()
    async with app.client:
        handle = await import_rows.enqueue(rows=given.rows)
        await watch(handle, cancel=given.cancel)
        try:
            print(f"imported {await handle.result()} rows")
        except TaskCancelled:
            print("cancelled")


if __name__ == "__main__":
    asyncio.run(main())
