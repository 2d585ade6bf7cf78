"""The task that does nothing, so that all the time is the queue's."""

import json

from tidemill import App

TYPE = "noop"
PAYLOAD = {"to": "somebody@example.com", "subject": "A subject of some length", "number": 123456789}
PAYLOAD_TEXT = json.dumps(PAYLOAD)

app = App()


@app.task(name=TYPE)
async def noop(to: str, subject: str, number: int) -> None:
    """Take the payload and do nothing."""
    del to, subject, number
