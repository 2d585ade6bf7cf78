"""Two task types to play with: `tidemill up --app examples.demo:app`.

Each works for a while and fails now and then. How long and how often comes from the environment:

    DEMO_EMAIL_SECONDS   1.0   how long an e-mail takes
    DEMO_QUERY_SECONDS   1.0   how long a query takes
    DEMO_FAILURE_RATE    0.2   share of runs of both types that fail
    DEMO_TIMEOUT_RATE    0.2   share of queries that run past their timeout
"""

import asyncio
import os
import random

from tidemill import App, Context

app = App()


@app.task
async def send_email(to: str, subject: str, body: str = "", **extra: object) -> dict[str, object]:
    """Pretend to send an e-mail."""
    await asyncio.sleep(number("DEMO_EMAIL_SECONDS", 1.0))
    if random.random() < number("DEMO_FAILURE_RATE", 0.2):
        raise ConnectionError(f"the mail server of {to} did not answer")
    return {"sent_to": to, "subject": subject, "characters": len(body), "extra": sorted(extra)}


@app.task(timeout_seconds=5)
async def run_query(context: Context, query: str, **extra: object) -> dict[str, object]:
    """Pretend to run a query on a slow database."""
    fate = random.random()
    failing = number("DEMO_FAILURE_RATE", 0.2)
    if fate < failing:
        raise RuntimeError(f"syntax error in {query!r}")
    if fate < failing + number("DEMO_TIMEOUT_RATE", 0.2):
        await asyncio.sleep(2 * context.timeout_seconds)
    await asyncio.sleep(number("DEMO_QUERY_SECONDS", 1.0))
    return {"rows": random.randint(0, 1000), "extra": sorted(extra)}


def number(variable: str, default: float) -> float:
    """Return the environment's `variable` as a number, read at each call."""
    return float(os.environ.get(variable) or default)
