"""Tasks that do nothing, so that all the time is the queue's."""

import json
import time

from tidemill import App

TYPE = "noop"
STAMP = "stamp"
PAYLOAD = {"to": "somebody@example.com", "subject": "A subject of some length", "number": 123456789}
PAYLOAD_TEXT = json.dumps(PAYLOAD)

app = App()


@app.task(name=TYPE)
async def noop(to: str, subject: str, number: int) -> None:
    """Take the payload and do nothing."""
    del to, subject, number


@app.task(name=STAMP)
async def stamp() -> int:
    """Return when the handler started: nanoseconds of a clock that all processes here share."""
    return time.monotonic_ns()
