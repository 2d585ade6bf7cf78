"""A transactional outbox without an outbox: the order and its tasks are one transaction.

Whoever writes to a database and sends a message has two things that can fail one by one. With the
queue in the same database there is one: COMMIT. Where TIDEMILL_DATABASE_URL names a database with
the schema in it (`tidemill migrate`):

    tidemill worker examples.outbox:app
    python -m examples.outbox init
    python -m examples.outbox place o1 500      # stored, and its receipt is sent
    python -m examples.outbox place o2 0        # refused: no order, and no task either
    python -m examples.outbox place o1 500      # known: the same task, sent once
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from typing import Annotated, Any

import asyncpg

from tidemill import App, Resource

TABLE = """
CREATE TABLE IF NOT EXISTS orders (
    id text PRIMARY KEY, cents integer NOT NULL CHECK (cents > 0), receipt text)
"""


async def open_pool() -> AsyncIterator[Any]:
    """Open the database of the orders: once a worker."""
    async with asyncpg.create_pool(os.environ["TIDEMILL_DATABASE_URL"], min_size=0) as pool:
        yield pool


Pool = Annotated[Any, Resource(open_pool)]

app = App()


@app.task(queue="mail")
async def send_receipt(order: str, pool: Pool) -> str:
    """Send the receipt once, however often this runs: the row says whether it was sent."""
    async with pool.acquire() as connection, connection.transaction():
        row = await connection.fetchrow("SELECT * FROM orders WHERE id = $1 FOR UPDATE", order)
        if row["receipt"] is None:
            receipt = f"{row['cents'] / 100:.2f} for {order}"
            await connection.execute("UPDATE orders SET receipt = $2 WHERE id = $1", order, receipt)
            return receipt
        return str(row["receipt"])


async def place(connection: Any, order: str, cents: int) -> str:
    """Store an order and enqueue its receipt: both, or neither."""
    receipt = send_receipt.using(connection=connection, idempotency_key=f"receipt:{order}")
    async with connection.transaction():
        handle = await receipt.enqueue(order=order)
        await connection.execute(
            "INSERT INTO orders (id, cents) VALUES ($1, $2) ON CONFLICT DO NOTHING", order, cents
        )
    return await handle.result(timeout=60)  # after the commit: before, no worker can see it


async def main(command: str, *arguments: str) -> None:
    """Do what the command line says."""
    connection: Any = await asyncpg.connect(os.environ["TIDEMILL_DATABASE_URL"])
    try:
        if command == "init":
            await connection.execute(TABLE)
            print("ready")
        else:
            order, cents = arguments
            print(await place(connection, order, int(cents)))
    except asyncpg.CheckViolationError:
        print("refused: an order must cost something")
    finally:
        await connection.close()
        await app.client.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
