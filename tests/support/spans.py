"""When handlers ran, by the clock of the database, and how many at once."""

from collections.abc import Sequence
from dataclasses import dataclass

from tidemill.db import Database

TABLE = """
CREATE TABLE public.spans (
    id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    began timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended timestamptz
)
"""


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when one handler ran, in seconds of the epoch."""

    began: float
    ended: float


async def read(db: Database) -> list[Span]:
    """Return what the handlers of `worker_app.span` wrote; they have all ended."""
    rows = await db.fetch(
        "SELECT extract(epoch FROM began)::float AS began,"
        " extract(epoch FROM ended)::float AS ended FROM public.spans ORDER BY began"
    )
    return [Span(row["began"], row["ended"]) for row in rows]


def most_at_once(spans: Sequence[Span]) -> int:
    """Return how many of `spans` there were at one moment, at most."""
    # an end sorts before a beginning of the same moment
    changes = sorted([(each.began, 1) for each in spans] + [(each.ended, -1) for each in spans])
    most = now = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most
