"""What `helm test` runs: enqueue one task over HTTP, and wait until a worker has ended it.

Arguments: the API's host:port, the task as JSON, how long to wait in seconds, and the file of a
token where the API asks for one. Exit code 0: the task succeeded.
"""

import http.client
import json
import sys
import time
from pathlib import Path
from typing import Any

ENDED = {"succeeded", "failed", "cancelled"}


class RefusedError(Exception):
    """The API answered with an error; the text is what it said."""


def call(api: str, path: str, body: str | None, token: str) -> dict[str, Any]:
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    connection = http.client.HTTPConnection(api, timeout=30)
    connection.request("GET" if body is None else "POST", path, body, headers)
    answer = connection.getresponse()
    text = answer.read().decode(errors="replace")
    connection.close()
    if answer.status not in {200, 201}:
        raise RefusedError(f"the API answered {answer.status}: {text}")
    found: dict[str, Any] = json.loads(text)
    return found


def run(api: str, body: str, seconds: float, token: str) -> str:
    """Return the status in which the task was seen last."""
    end = time.monotonic() + seconds
    task = call(api, "/api/tasks", body, token)
    print(f"task {task['id']} of type {task['type']}: {task['status']}", flush=True)
    status = str(task["status"])
    while status not in ENDED and time.monotonic() < end:
        time.sleep(1)
        now = str(call(api, f"/api/tasks/{task['id']}", None, token)["status"])
        if now != status:
            print(f"now {now}", flush=True)
        status = now
    return status


def main(api: str, body: str, seconds: str, token_file: str = "") -> str | None:
    """Return what is wrong, None where nothing is."""
    token = Path(token_file).read_text().strip() if token_file else ""
    try:
        status = run(api, body, float(seconds), token)
    except RefusedError as error:
        return str(error)
    except (OSError, http.client.HTTPException) as error:
        return f"the API at {api} cannot be reached: {error}"
    if status in ENDED:
        return None if status == "succeeded" else f"the task ended, but as {status}"
    return f"after {seconds} s the task is still {status}: does a worker run its queue?"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
