"""Tasks that do nothing, so that all the time is the queue's."""

import json
import time

from tidemill import App, Discard

TYPE = "noop"
THREAD = "noop_thread"
FAILING = "noop_failing"
PROCESS = "noop_process"
STAMP = "stamp"
PAYLOAD = {"to": "somebody@example.com", "subject": "A subject of some length", "number": 123456789}
PAYLOAD_TEXT = json.dumps(PAYLOAD)

app = App()
apart = App()
"""An app of its own for the handler with a process of its own: others start none for it"""


@app.task(name=TYPE)
async def noop(to: str, subject: str, number: int) -> None:
    """Take the payload and do nothing."""
    del to, subject, number


@app.task(name=THREAD)
def noop_thread(to: str, subject: str, number: int) -> None:
    """Do nothing in a thread."""
    del to, subject, number


@app.task(name=FAILING)
async def noop_failing(to: str, subject: str, number: int) -> None:
    """Fail for good."""
    raise Discard(f"{to}, {subject}, {number}")


@apart.task(name=PROCESS, isolation="process")
def noop_process(to: str, subject: str, number: int) -> None:
    """Do nothing in a process of its own."""
    del to, subject, number


@app.task(name=STAMP)
async def stamp() -> int:
    """Return when the handler started: nanoseconds of a clock that all processes here share."""
    return time.monotonic_ns()
