"""Malformed requests as bytes: framing, heads and bodies that no client would send."""

# ruff: noqa: E501 - tables of bytes

import random
from collections.abc import Iterator

from tidemill_api.routes import ENDPOINTS

BAD_TASK = b'{"type": ""}'
NDJSON = b"Content-Type: application/x-ndjson"
DIGITS = b"9" * 100_000
BODIES = [
    b"", b" ", b"\xef\xbb\xbf{}", b"\xff\xfe{\x00}\x00", b"{", b'{"type"', b'{"type": "t"', b"[", b'"',
    b'{"type": "t", "type": "t"}', b'{"a": {"b": 1, "b": 1}}', b'{"type": NaN}', b"NaN", b"[Infinity]",
    b"-Infinity", b'{"priority": 1e999}', b'{"priority": -1e999}', b'{"priority": ' + DIGITS + b"}",
    b"-" + DIGITS, b"1." + DIGITS, b"1e" + DIGITS, b"[" * 100_000, b'{"a":' * 100_000,
    b"[" * 200 + b"]" * 200, b'{"name": "\\ud800"}', b'{"\\udfff": 1}', b'{"name": "\xed\xa0\x80"}',
    b'{"name": "\xc0\xaf"}', b'{"name": "\xf4\x90\x80\x80"}', b'{"name": "\\u0000"}', b'{"name": "\x00"}',
    b"{'type': 't'}", b"{type: t}", b'{"type": "t",}', b"01", b"0x1", b"+1", b"// x\n{}", b"{}{}",
    b'{"__proto__": {}, "constructor": 1}', b"\x00" * 100, bytes(range(256)),
]  # fmt: skip
FRAMES = [
    b"Content-Length: -1", b"Content-Length: +12", b"Content-Length: 12, 12", b"Content-Length: abc",
    b"Content-Length: 0x0c", b"Content-Length: 1e1", b"Content-Length: ", b"Content-Length:\xb2",
    b"Content-Length: " + DIGITS[:30], b"Content-Length: " + DIGITS[:6000], b"Content-Length: 12_",
    b"Content-Length: 12\r\nContent-Length: 13", b"Content-Length: 12\r\nContent-Length: 12",
    b"Content-Length: 12\r\nTransfer-Encoding: chunked", b"Transfer-Encoding: chunked\r\nContent-Length: 5",
    b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked, chunked", b"Transfer-Encoding: identity",
    b"Transfer-Encoding: xchunked", b"Transfer-Encoding: chunked, gzip", b"Transfer-Encoding: \x0bchunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", b"Content-Length: 3", b"Content-Length: 40",
    b"Content-Length : 12", b" Content-Length: 12", b"Content-Length\t: 12", b"Content-Length: 12\nX: y",
]  # fmt: skip
CHUNKS = [
    b"zz\r\n{}\r\n0\r\n\r\n", b"-1\r\n{}\r\n0\r\n\r\n", b"ffffffffffffffffff\r\n{}", b"2\r\n{}0\r\n\r\n",
    b"2\n{}\n0\n\n", b"2 \r\n{}\r\n0\r\n\r\n", b"0x2\r\n{}\r\n0\r\n\r\n", b"2;a=b\r\n{}\r\n0\r\n\r\n",
    b"2;" + b"x" * 20_000 + b"\r\n{}\r\n0\r\n\r\n", b"2\r\n{}\r\n0\r\nX: y\r\n\r\n", b"+2\r\n{}\r\n0\r\n\r\n",
    b"2\r\n{}\r\n0\r\n" + b"X: y\r\n" * 5000 + b"\r\n", b"\r\n\r\n", b"2\r\n{}\r\n", b"1\r\n{\r\n" * 3000 + b"0\r\n\r\n",
]  # fmt: skip
STARTS = [
    b"GET /api/tasks/%zz HTTP/1.1", b"GET /api/tasks/% HTTP/1.1", b"GET /api/tasks/%00 HTTP/1.1",
    b"GET /api/queues/%ff%fe HTTP/1.1", b"GET /api/queues/%C0%AF HTTP/1.1", b"GET /%2e%2e/x HTTP/1.1",
    b"GET /api/tasks?queue=%00 HTTP/1.1", b"GET /api/tasks?%zz=%zz HTTP/1.1", b"GET /api/tasks?a=%ff HTTP/1.1",
    b"GET /api/tasks?" + b"a=1&" * 1500 + b" HTTP/1.1", b"GET /" + b"x" * 20_000 + b" HTTP/1.1",
    b"GET /api/queues/\xc3\xa9 HTTP/1.1", b"GET /\xff HTTP/1.1", b"GET /\x00 HTTP/1.1", b"GET * HTTP/1.1",
    b"GET api/tasks HTTP/1.1", b"GET http://[::1/ HTTP/1.1", b"GET http://x:99999/ HTTP/1.1", b"GET  / HTTP/1.1",
    b"GET http://other/api/stats HTTP/1.1", b"GET // HTTP/1.1", b"GET //x/api/stats HTTP/1.1", b"GET /#x HTTP/1.1",
    b"GET / HTTP/1.0", b"GET /", b"GET / HTTP/2.0", b"GET / HTTP/0.9", b"GET / HTTP/9999999.1", b"GET / HTTP/1.1 x",
    b"GET / http/1.1", b"get / HTTP/1.1", b"G\x00T / HTTP/1.1", b"\xc3\xa9 / HTTP/1.1", b"QUERY / HTTP/1.1",
    b"CONNECT x:1 HTTP/1.1", b"OPTIONS * HTTP/1.1", b"TRACE / HTTP/1.1", b"PRI * HTTP/2.0", b"", b"\x16\x03\x01\x02",
    b"X" * 9000 + b" / HTTP/1.1", b"GET /api/tasks/..%2f..%2fstats HTTP/1.1", b"GET /api/task-types/a%2Fb%2F HTTP/1.1",
    b"POST /api/queues/%F0%9F%90%8B/pause HTTP/1.1", b"DELETE /api/workers/%D9%A1 HTTP/1.1",
    b"DELETE /api/workers/" + DIGITS[:5000] + b" HTTP/1.1", b"GET /api/workers?cursor=%D9%A1 HTTP/1.1",
    b"GET /api/tasks?limit=" + DIGITS[:5000] + b" HTTP/1.1", b"GET /api/tasks?limit=%D9%A1 HTTP/1.1",
]  # fmt: skip
VALUES = [
    b"", b" ", b"x", b'"', b"\xff\xfe", b"\xc3\xa9", b"\xf0\x9f\x90\x8b", b"x" * 300, b"x" * 7000, b"\x00", b"\x01",
    b"a\rb", b"%00", b"0" * 60, b"Bearer", b"Bearer ", b"Bearer \xff", b"Bearer x y", b"Basic eDp5", b"Bearer " + b"x" * 5000,
    b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-00", b"00-" + b"g" * 32 + b"-" + b"1" * 16 + b"-01", b"ff-1-1-1", b'W/"x"',
    b'"a", "b', b"*", b"gzip;q=x", b"gzip;q=" + DIGITS[:50], b"gzip, gzip", b"bogus", b"br", b"deflate", b"zstd", b"identity",
    b"100-continue", b"200-ok", b"bytes=0-1", b"websocket", b"keep-alive, close", b"application/json; charset=",
    b"application/json; charset=utf-99", b'application/json; charset="utf-8', b"a=b; c", b"../..", b"${x}", b"{}",
]  # fmt: skip
NAMES = [
    b"Authorization", b"traceparent", b"tracestate", b"Idempotency-Key", b"X-Request-Id", b"If-None-Match", b"Accept",
    b"Accept-Encoding", b"Content-Encoding", b"Content-Type", b"Expect", b"Range", b"Upgrade", b"Connection", b"Cookie",
    b"Host", b"Origin", b"Last-Event-ID", b"X-Forwarded-For", b"X-Forwarded-Prefix", b"Forwarded", b"Content-Disposition",
]  # fmt: skip
LINES = [
    b"no colon", b": no name", b"na me: v", b"n\x00: v", b"n\xc3\xa9: v", b"n: v\r\n folded", b"n" * 9000 + b": v",
    b"n: " + b"v" * 20_000, b"(): v", b"n: v\x00", b"\r\n", b"n: v\n\n", b"Host: a\r\nHost: b", b"X-H: v\r\n" * 500 + b"X: y",
    b"Idempotency-Key: a\r\nIdempotency-Key: b", b"Content-Type: text/plain\r\nContent-Type: application/json",
    b"traceparent: x\r\ntraceparent: y", b"Content-Encoding: gzip\r\nContent-Encoding: deflate",
    b"Authorization: Bearer a\r\nAuthorization: Bearer b", b"X-Request-Id: a\r\nX-Request-Id: b",
]  # fmt: skip


def request(
    *lines: bytes,
    start: bytes = b"POST /api/tasks HTTP/1.1",
    body: bytes = BAD_TASK,
    usual: bytes = b"Content-Type: application/json",
) -> bytes:
    """Return a request of these lines, whose length is told unless a line tells of it."""
    framed = any(b"ontent-Length" in line or b"ransfer-Encoding" in line for line in lines)
    length = () if framed else (b"Content-Length: %d" % len(body),)
    return b"\r\n".join((start, b"Host: x", usual, *lines, *length, b"", body))


def bodies() -> Iterator[bytes]:
    """Every bad body to every route, also to those that take none."""
    for each in ENDPOINTS:
        path = each.path.replace("{id}", "1").replace("{name}", "n")
        start = f"{each.method} {path} HTTP/1.1".encode()
        if each.path.startswith("/api/") and each.method != "GET":
            yield from (request(start=start, body=body) for body in BODIES)
    for body in BODIES:
        lines = request(start=b"POST /api/tasks/batch HTTP/1.1", body=body, usual=NDJSON)
        yield from (lines, request(b"Content-Encoding: gzip", body=body))


def heads() -> Iterator[bytes]:
    """Every bad start, frame, chunk and header line."""
    for start in STARTS:
        yield request(start=start, body=b"") + b"\r\n\r\n"
        yield request(start=start, body=b"").replace(b"\r\n", b"\n") + b"\n\n"
    yield from (request(frame) + b"\r\n\r\n" for frame in FRAMES)
    yield from (request(b"Transfer-Encoding: chunked", body=chunk) for chunk in CHUNKS)
    yield from (request(line) + b"\r\n\r\n" for line in LINES)
    for name in NAMES:
        for value in VALUES:
            yield request(name + b": " + value) + b"\r\n\r\n"
            yield request(name + b": " + value, start=b"GET /api/stats HTTP/1.1", body=b"")


def mutations(dice: random.Random) -> Iterator[bytes]:
    """A request whose head has some bytes changed, put in or cut out."""
    head, _, body = request(b"Idempotency-Key: k", b"Accept: */*").partition(b"\r\n\r\n")
    while True:
        data = bytearray(head)
        for _ in range(dice.randint(1, 5)):
            place = dice.randrange(len(data))
            match dice.randrange(3):
                case 0:
                    data[place] = dice.randrange(256)
                case 1:
                    data[place:place] = dice.choice(
                        (b"\r\n", b"\n", b"\0", b":", b" ", b"\xff", b"%")
                    )
                case _:
                    del data[place : place + dice.randint(1, 12)]
        yield bytes(data) + b"\r\n\r\n" + body + b"\r\n\r\n"
