"""A shop that stores an order and enqueues its receipt in one transaction, with psycopg 3.

    export DATABASE_URL=postgresql://shop:secret@localhost/tasks
    python shop.py init                        makes the table of orders
    python shop.py place ORDER CUSTOMER CENTS  a second time with the same ORDER: the same task
    python shop.py place-many COUNT            orders in one statement, tasks in another
    python shop.py status TASK                 needs SELECT on tidemill.task_status

Without DATABASE_URL the PG* variables count. Needs: pip install "psycopg[binary]".
The login needs the role tidemill_producer, no more.
"""

import os
import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

T = TypeVar("T")

RETRIED = ("40001", "40P01", "55P03")
"""Serialization failure, deadlock, lock not available: the same transaction may work now."""


class Refused(Exception):
    """The shop itself says no; nothing of the order is kept, and no receipt is sent."""


def init(connection: psycopg.Connection) -> str:
    """Make the table of orders."""
    connection.execute(
        "CREATE TABLE IF NOT EXISTS orders "
        "(id text PRIMARY KEY, customer text NOT NULL, cents integer NOT NULL)"
    )
    return "ready"


def place(connection: psycopg.Connection, order: str, customer: str, cents: str) -> str:
    """Store an order and enqueue its receipt: both or neither. Return the task's id."""
    receipt = {"order": order, "customer": customer, "cents": int(cents)}
    with connection.transaction():
        connection.execute(
            "INSERT INTO orders (id, customer, cents) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            (order, customer, int(cents)),
        )
        # Jsonb, not a dict or a string: the parameter's type is jsonb.
        [(task,)] = connection.execute(
            "SELECT tidemill.enqueue('send_receipt', %s, queue => 'mail', idempotency_key => %s)",
            (Jsonb(receipt), f"receipt:{order}"),
        ).fetchall()
        if int(cents) <= 0:
            raise Refused(f"order {order} must cost something")  # rolls both back
    return str(task)


def place_many(connection: psycopg.Connection, count: str) -> str:
    """Store orders and enqueue their receipts, in two statements however many there are."""
    orders = [{"order": f"o{n}", "customer": "many", "cents": 100} for n in range(int(count))]
    tasks = [
        {
            "type": "send_receipt",
            "payload": each,
            "queue": "mail",
            "idempotency_key": f"receipt:{each['order']}",
        }
        for each in orders
    ]
    with connection.transaction():
        connection.execute(
            'INSERT INTO orders (id, customer, cents) SELECT o."order", o.customer, o.cents '
            'FROM jsonb_to_recordset(%s) AS o ("order" text, customer text, cents integer) '
            "ON CONFLICT DO NOTHING",
            (Jsonb(orders),),
        )
        answers = connection.execute(
            "SELECT id, status, created FROM tidemill.enqueue_many(%s)", (Jsonb(tasks),)
        ).fetchall()
    new = sum(created for _id, _status, created in answers)
    return f"{len(answers)} tasks, {new} new"


def status(connection: psycopg.Connection, task: str) -> str:
    """Tell where a task is."""
    cursor = connection.cursor(row_factory=dict_row)
    found = cursor.execute(
        "SELECT status, queue, retry_count, last_error FROM tidemill.task_status WHERE id = %s",
        (task,),
    ).fetchone()
    return "no such task" if found is None else f"{found['status']} in {found['queue']}"


def with_retries(act: Callable[[], T], times: int = 3) -> T:
    """Run a whole transaction again where that may help."""
    for attempt in range(1, times + 1):
        try:
            return act()
        except psycopg.Error as error:
            if error.sqlstate not in RETRIED or attempt == times:
                raise
            time.sleep(0.1 * attempt)
    raise AssertionError("unreachable")


COMMANDS: dict[str, Callable[..., str]] = {
    "init": init,
    "place": place,
    "place-many": place_many,
    "status": status,
}


def main(name: str, *arguments: Any) -> int:
    """Run one command; a refusal is one line with its SQLSTATE."""
    with psycopg.connect(os.environ.get("DATABASE_URL", ""), autocommit=True) as connection:
        try:
            print(with_retries(lambda: COMMANDS[name](connection, *arguments)))
        except Refused as error:
            print(f"refused: {error}", file=sys.stderr)
            return 1
        except psycopg.Error as error:
            print(f"{error.sqlstate}: {error.diag.message_primary or error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) if sys.argv[1:2] and sys.argv[1] in COMMANDS else __doc__)
