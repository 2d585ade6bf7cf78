"""Pages of other origins: nothing by default, exactly what the setting lists."""

import dataclasses

import aiohttp
import pytest

from tests.contract.conftest import Start
from tests.support.http import Answer, ask, enqueue
from tidemill.db import Database
from tidemill.errors import ConfigurationError
from tidemill.notify import Hints
from tidemill.settings import Settings
from tidemill_api.context import Api

PAGE = "https://page.example"
ALLOWED = "Access-Control-Allow-Origin"


async def preflight(client: aiohttp.ClientSession, path: str, origin: str = PAGE) -> Answer:
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    async with client.options(path, headers=headers) as response:
        titled = {name.title(): value for name, value in response.headers.items()}
        return Answer(response.status, titled, await response.read())


async def with_origins(start_api: Start, settings: Settings, text: str) -> aiohttp.ClientSession:
    return await start_api(dataclasses.replace(settings, cors_origins=text))


async def test_without_the_setting_nothing_is_said(http: aiohttp.ClientSession) -> None:
    assert (await preflight(http, "/api/tasks")).status == 405
    answer = await ask(http, "GET", "/api/stats", headers={"Origin": PAGE})
    assert answer.status == 200
    assert not [name for name in answer.headers if name.startswith("Access-Control")]
    assert "Origin" not in answer.headers.get("Vary", "")


async def test_a_preflight_says_what_the_path_allows(start_api: Start, settings: Settings) -> None:
    http = await with_origins(start_api, settings, f"http://localhost:3000, {PAGE}")
    answer = await preflight(http, "/api/tasks")
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers[ALLOWED] == PAGE
    methods = set(answer.headers["Access-Control-Allow-Methods"].split(", "))
    assert methods == {"GET", "HEAD", "POST"}
    allowed = {each.lower() for each in answer.headers["Access-Control-Allow-Headers"].split(", ")}
    assert allowed >= {"authorization", "content-type", "idempotency-key", "x-request-id"}
    assert int(answer.headers["Access-Control-Max-Age"]) > 0
    assert answer.headers["Vary"] == "Origin"


async def test_a_preflight_needs_no_token(start_api: Start, settings: Settings) -> None:
    listed = '{"tokens": [{"name": "a", "sha256": "' + "0" * 64 + '", "scopes": ["read"]}]}'
    http = await with_origins(start_api, dataclasses.replace(settings, tokens=listed), PAGE)
    assert (await preflight(http, "/api/tasks")).status == 204
    answer = await ask(http, "GET", "/api/stats", headers={"Origin": PAGE})
    assert (answer.status, answer.headers[ALLOWED]) == (401, PAGE)


async def test_answers_and_errors_can_be_read(start_api: Start, settings: Settings) -> None:
    http = await with_origins(start_api, settings, PAGE)
    headers = {"Origin": PAGE}
    for method, path, body, status in (
        ("POST", "/api/tasks", {"type": "t"}, 201),
        ("POST", "/api/tasks", {"type": ""}, 400),
        ("GET", "/nowhere", None, 404),
        ("PUT", "/api/stats", None, 405),
    ):
        answer = await ask(http, method, path, json=body, headers=headers)
        assert (answer.status, answer.headers[ALLOWED]) == (status, PAGE)
        exposed = answer.headers["Access-Control-Expose-Headers"].split(", ")
        assert {"Location", "Retry-After", "X-Request-Id", "ETag"} <= set(exposed)
        assert "Origin" in answer.headers["Vary"]


async def test_another_origin_is_told_nothing(start_api: Start, settings: Settings) -> None:
    http = await with_origins(start_api, settings, PAGE)
    for origin in ("https://page.example.evil", "http://page.example", "null"):
        assert (await preflight(http, "/api/tasks", origin)).status == 405
        answer = await ask(http, "GET", "/api/stats", headers={"Origin": origin})
        assert answer.status == 200
        assert ALLOWED not in answer.headers
        assert answer.headers["Vary"] == "Origin"
    assert (await enqueue(http)).headers["Vary"] == "Origin"


async def test_any_origin(start_api: Start, settings: Settings) -> None:
    http = await with_origins(start_api, settings, "*")
    answer = await preflight(http, "/api/tasks", "https://anyone.example")
    assert (answer.status, answer.headers[ALLOWED]) == (204, "*")
    assert "Vary" not in answer.headers


@pytest.mark.parametrize("text", ["page.example", f"{PAGE}/", f"{PAGE}/app", "null", "https://*"])
def test_what_is_no_origin_is_refused_at_the_start(
    settings: Settings, db: Database, text: str
) -> None:
    settings = dataclasses.replace(settings, cors_origins=text)
    with pytest.raises(ConfigurationError, match="TIDEMILL_CORS_ORIGINS"):
        Api.of(settings, db, Hints(db))
