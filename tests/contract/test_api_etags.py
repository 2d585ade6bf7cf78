"""Tags of answers: 304 for who has the content, and never for who has not."""

from collections.abc import Mapping

import aiohttp
import pytest

from tests.support.http import Answer, ask, enqueue
from tidemill_api.compression import LEAST_BYTES
from tidemill_api.etags import known
from tidemill_api.routes import ENDPOINTS

LONG = {"text": "x" * LEAST_BYTES}


async def tagged(http: aiohttp.ClientSession) -> Mapping[str, str]:
    """Return a path that is there for each route whose answers have tags."""
    task = (await enqueue(http, queue="q", payload=LONG)).json["id"]
    await ask(http, "PUT", "/api/task-types/t", json={"max_retries": 5})
    nightly = {"cron": "0 3 * * *", "type": "t"}
    await ask(http, "PUT", "/api/schedules/nightly", json=nightly)
    return {
        "getTask": f"/api/tasks/{task}",
        "getQueue": "/api/queues/q",
        "getTaskType": "/api/task-types/t",
        "getSchedule": "/api/schedules/nightly",
        "getOpenApi": "/openapi.json",
        "getVersion": "/api/version",
    }


async def with_tag(http: aiohttp.ClientSession, path: str, tag: str, method: str = "GET") -> Answer:
    return await ask(http, method, path, headers={"If-None-Match": tag})


async def test_who_has_the_content_is_told_so_with_the_same_headers(
    http: aiohttp.ClientSession,
) -> None:
    paths = await tagged(http)
    assert paths.keys() == {each.name for each in ENDPOINTS if each.tagged}
    for path in paths.values():
        whole = await ask(http, "GET", path)
        tag = whole.headers["Etag"]
        assert (whole.status, tag[:3], tag[-1]) == (200, 'W/"', '"'), path
        for given in (tag, tag.removeprefix("W/"), f'"other", {tag}', "*"):
            same = await with_tag(http, path, given)
            assert (same.status, same.body) == (304, b""), (path, given)
            for name in ("Etag", "Cache-Control", "Server", "X-Content-Type-Options"):
                assert same.headers[name] == whole.headers[name]
            assert same.headers.get("Vary") == whole.headers.get("Vary")
            assert same.headers["X-Request-Id"]
        assert (await with_tag(http, path, tag, "HEAD")).status == 304
        for given in ('"other"', "other", "", "W/"):
            assert (await with_tag(http, path, given)).body == whole.body


async def test_a_change_is_another_tag(http: aiohttp.ClientSession) -> None:
    paths = await tagged(http)
    changes = {
        "getTask": ("POST", "/cancel", None),
        "getQueue": ("PUT", "", {"max_depth": 7}),
        "getTaskType": ("PUT", "", {"max_retries": 6}),
        "getSchedule": ("POST", "/pause", None),
    }
    for name, (method, end, body) in changes.items():
        path = paths[name]
        before = await ask(http, "GET", path)
        assert (await ask(http, method, path + end, json=body)).status == 200
        after = await with_tag(http, path, before.headers["Etag"])
        assert after.status == 200
        assert after.headers["Etag"] != before.headers["Etag"]


async def test_a_compressed_answer_and_a_plain_one_have_one_tag(
    http: aiohttp.ClientSession,
) -> None:
    path = (await tagged(http))["getTask"]
    plain = await ask(http, "GET", path, headers={"Accept-Encoding": "identity"})
    packed = await ask(http, "GET", path, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.headers["Etag"] == plain.headers["Etag"]


async def test_errors_have_no_tags(http: aiohttp.ClientSession) -> None:
    answer = await with_tag(http, "/api/queues/unborn", "*")
    assert (answer.status, "Etag" in answer.headers) == (404, False)
    assert "Etag" not in (await enqueue(http)).headers


async def test_a_long_poll_may_end_with_nothing_new(http: aiohttp.ClientSession) -> None:
    path = (await tagged(http))["getTask"]
    tag = (await ask(http, "GET", path)).headers["Etag"]
    assert (await with_tag(http, f"{path}?wait=0.1", tag)).status == 304


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (['W/"a"'], True),
        (['"b"', '"a"'], True),
        (['"b","a"'], True),
        (["a"], False),
        (['"aa"'], False),
        ([], False),
        ([" * "], True),
        (['"*"'], False),
    ],
)
def test_tags_are_compared_without_their_strength(given: list[str], found: bool) -> None:
    assert known(given, "a") is found
