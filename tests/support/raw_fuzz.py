"""Random requests as bytes against a server of its own, for as long as one likes: `make fuzz`.

`python -m tests.support.raw_fuzz [SECONDS [SEED]]`. Every answer is held against /openapi.json, and
a 5xx ends the run with the bytes that made it; the same seed makes the same requests again.
"""

import asyncio
import gzip
import itertools
import json
import random
import secrets
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

import aiohttp

from tests.contract.conftest import running_api
from tests.contract.test_api_fuzz import AT_ONCE, broken_text, noise, odd_batch, odd_fields
from tests.contract.test_api_fuzz_acts import NAMES as ODD_NAMES
from tests.contract.test_api_fuzz_acts import odd_body, odd_query
from tests.support import described, postgres, raw_requests
from tests.support.http import ask, enqueue
from tests.support.problem_cases import Calls
from tests.support.raw_http import Reply, assert_refused_well, exchange
from tests.support.schema_fuzz import STREAMS
from tests.support.seeds import Seeds, seed
from tidemill.db import Database
from tidemill.schema import migrate
from tidemill.store import Store
from tidemill_api import loops, reading
from tidemill_api.endpoints import Endpoint
from tidemill_api.routes import ENDPOINTS

SECONDS: Final = "600"
NAMES: Final = [each for each in ODD_NAMES if each != ".."]  # what goes up asks for another path
ROUTES: Final = [each for each in ENDPOINTS if each.name not in STREAMS]


@dataclass(frozen=True, slots=True)
class Sent:
    """A request, with the method and path that it surely asks for, if it surely does."""

    data: bytes
    asked: tuple[str, str] | None


def requests(dice: random.Random, known: Seeds) -> Iterator[Sent]:
    """Yield requests without end: one in three has a head of which nothing can be believed."""
    calls = Calls(known)
    ids = [str(each[0]) for each in known.tasks.values()]
    while True:
        route = dice.choice(ROUTES)
        valid = calls.valid(route)
        path = valid.path if dice.random() < 0.4 else _path(route, ids, dice)
        start = f"{route.method} {path} HTTP/1.1".encode()
        lines = [_line(dice) for _ in range(dice.choice([0, 0, 1, 3]))]
        body = json.dumps(valid.json).encode() if dice.random() < 0.3 else _body(route, dice)
        if dice.random() < 0.2:
            lines.append(b"Content-Encoding: gzip")
            body = gzip.compress(body, 1)[: dice.choice([None, -1, -9])]
        made = raw_requests.request(*lines, start=start, body=body, usual=_media(dice))
        if dice.random() < 0.33:
            yield Sent(_bent(made, dice), None)
        else:
            yield Sent(made, (route.method, path))


async def fuzz(client: aiohttp.ClientSession, made: Iterable[Sent]) -> Counter[int]:
    """Send all, `AT_ONCE` at a time; return how often each status came (0: closed without one)."""
    answers: Counter[int] = Counter()
    left = iter(made)

    async def some() -> None:
        for sent in left:
            [reply] = await exchange(client, sent.data)
            _hold(sent, reply)
            answers[reply.status] += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(some())
    return answers


def told(answers: Counter[int], dice_seed: int) -> str:
    """Return the figures that a release report quotes."""
    by_status = dict(sorted(answers.items()))
    return f"raw fuzz, seed {dice_seed}: {answers.total()} requests, answers: {by_status}\n"


def _hold(sent: Sent, reply: Reply) -> None:
    try:
        assert_refused_well(reply, sent.data)
        if sent.asked is not None and reply.status != 0:
            media = reply.headers.get("Content-Type", "")
            described.hold(*sent.asked, reply.status, media, _plain(reply))
    except Exception as error:
        raise AssertionError(f"{reply} to {sent.data!r}") from error


def _plain(reply: Reply) -> bytes:
    zipped = reply.headers.get("Content-Encoding") == "gzip"
    return gzip.decompress(reply.body) if zipped else reply.body


def _path(route: Endpoint, ids: list[str], dice: random.Random) -> str:
    name = quote(dice.choice(NAMES), safe="")
    path = route.path.replace("{name}", name)
    path = path.replace("{id}", dice.choice([*ids, "none", "%00", "0" * 36, "1"]))
    return f"{path}?{odd_query(dice)}" if dice.random() < 0.3 else path


def _body(route: Endpoint, dice: random.Random) -> bytes:
    kinds = [odd_body, broken_text, noise]
    if "enqueue" in route.name:
        kinds += [odd_fields, odd_batch, odd_fields, odd_batch]
    if dice.random() < 0.2:
        return dice.choice(raw_requests.BODIES)
    return dice.choice(kinds)(dice)


def _media(dice: random.Random) -> bytes:
    kinds = [b"application/json"] * 8 + [
        b"application/x-ndjson",
        b"text/plain",
        b"application/json;",
    ]
    return b"Content-Type: " + dice.choice(kinds)


def _line(dice: random.Random) -> bytes:
    name = dice.choice([b"Idempotency-Key", b"traceparent", b"If-None-Match", b"Accept", b"Origin"])
    value = dice.choice([b"k", b"*", b'"x"', b"x" * 300, b"\xff\xfe", b"", b"%00", b"a, b"])
    return name + b": " + value


def _bent(made: bytes, dice: random.Random) -> bytes:
    """Return a request whose head is cut, changed, or framed as no client would."""
    head, _, body = made.partition(b"\r\n\r\n")
    start, *lines = head.split(b"\r\n")
    match dice.randrange(4):
        case 0:
            start = dice.choice(raw_requests.STARTS)
        case 1:
            lines = [each for each in lines if not each.startswith(b"Content-Length")]
            lines.append(dice.choice(raw_requests.FRAMES))
        case 2:
            lines.append(dice.choice(raw_requests.LINES))
        case _:
            place = dice.randrange(len(head))
            changed = head[:place] + dice.randbytes(dice.randint(0, 3)) + head[place + 1 :]
            start, *lines = changed.split(b"\r\n")
    return b"\r\n".join((start, *lines, b"", body)) + b"\r\n\r\n"


def _for_seconds(made: Iterator[Sent], seconds: float) -> Iterator[Sent]:
    end = time.monotonic() + seconds
    return itertools.takewhile(lambda _: time.monotonic() < end, made)


async def _main(seconds: str = SECONDS, dice_seed: str = "") -> None:
    number = int(dice_seed or secrets.randbelow(2**32))
    sys.stdout.write(f"raw fuzz, seed {number}: {seconds} s\n")
    reading.BODY_SECONDS = 0.2  # bodies that do not come are given up soon
    with postgres.private_server() as server:
        settings = postgres.settings_of(server.url("postgres"), api_keepalive_seconds=1.0)
        db = Database.of(settings, application="fuzz")
        try:
            await migrate(db)
            known = await seed(Store.of(db))
            async with running_api(settings) as client:
                made = requests(random.Random(number), known)
                answers = await fuzz(client, _for_seconds(made, float(seconds)))
                assert (await ask(client, "GET", "/health")).json["status"] == "ok"
                assert (await enqueue(client)).status == 201
        finally:
            await db.close()
    sys.stdout.write(told(answers, number))


if __name__ == "__main__":
    loops.run(_main(*sys.argv[1:]))
