"""What the operator's tests do to a queue, and the TaskQueues they do it with."""

from typing import Any

import psycopg

QUICK: dict[str, Any] = {"idleSeconds": 1, "scaleDown": {"stabilizationWindowSeconds": 1}}
"""Scaling that goes down as fast as it can."""

SECRET: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "tidemill-database"},
    "stringData": {"url": "postgresql://nobody@example.com/none"},
}


def enqueue(url: str, queue: str, count: int) -> None:
    """Enqueue tasks that nobody will run."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT tidemill.enqueue('any', '{}', queue => %s) FROM generate_series(1, %s)",
            [queue, count],
        )


def empty(url: str, queue: str) -> None:
    """Take all waiting tasks of a queue away, as if they had been done."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "DELETE FROM tidemill.ready USING tidemill.queues WHERE id = queue_id AND name = %s",
            [queue],
        )


def queue_row(url: str, queue: str) -> dict[str, Any]:
    """Return a queue's row; {} when it has none."""
    with psycopg.connect(url, autocommit=True, row_factory=psycopg.rows.dict_row) as connection:
        found = connection.execute("SELECT * FROM tidemill.queues WHERE name = %s", [queue])
        return found.fetchone() or {}


def decisions(url: str, target: str) -> list[dict[str, Any]]:
    """Return the stored decisions for a TaskQueue, the oldest first."""
    with psycopg.connect(url, autocommit=True, row_factory=psycopg.rows.dict_row) as connection:
        found = connection.execute(
            "SELECT * FROM tidemill.scaling_decisions WHERE target = %s ORDER BY id", [target]
        )
        return found.fetchall()
