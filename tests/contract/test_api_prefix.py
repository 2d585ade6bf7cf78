"""Below a path of a proxy's: every path that the API answers or tells begins with it."""

import dataclasses

import aiohttp
import pytest
from aiohttp import web

from tests.contract.conftest import Start
from tests.support.http import Answer
from tidemill.db import Database
from tidemill.errors import ConfigurationError
from tidemill.notify import Hints
from tidemill.settings import Settings
from tidemill_api.context import Api
from tidemill_api.embedding import application

PREFIX = "/queue/tidemill"


@pytest.fixture
async def below(start_api: Start, settings: Settings) -> aiohttp.ClientSession:
    """A client of an API with a prefix."""
    return await start_api(dataclasses.replace(settings, api_prefix=PREFIX))


async def call(
    client: aiohttp.ClientSession, path: str, body: object = None, **headers: str
) -> Answer:
    method = "GET" if body is None else "POST"
    async with client.request(method, path, json=body, headers=headers) as response:
        titled = {name.title(): value for name, value in response.headers.items()}
        return Answer(response.status, titled, await response.read())


async def test_every_path_begins_with_the_prefix(below: aiohttp.ClientSession) -> None:
    made = await call(below, f"{PREFIX}/api/tasks", {"type": "t"})
    assert made.status == 201
    place = made.headers["Location"]
    assert place == f"{PREFIX}/api/tasks/{made.json['id']}"
    assert (await call(below, place)).json["id"] == made.json["id"]
    index = (await call(below, f"{PREFIX}/")).json["paths"]
    for path in index.values():
        assert (await call(below, path)).status == 200, path
    document = (await call(below, f"{PREFIX}/openapi.json")).json
    assert document["servers"] == [{"url": PREFIX}]
    assert "/api/tasks" in document["paths"]
    assert (await call(below, f"{PREFIX}/api/tasks/batch", [{"type": "t"}])).status == 201


async def test_a_proxy_may_strip_it_and_what_is_told_has_it_all_the_same(
    below: aiohttp.ClientSession,
) -> None:
    for path in ("/healthz", "/readyz", "/health", "/metrics", "/openapi.json"):
        for place in (path, PREFIX + path):
            assert (await call(below, place)).status == 200, place
    made = await call(below, "/api/tasks", {"type": "t"})
    assert made.headers["Location"] == f"{PREFIX}/api/tasks/{made.json['id']}"
    assert (await call(below, f"/api/tasks/{made.json['id']}")).status == 200
    assert (await call(below, "/queue/api/stats")).status == 404


async def test_metrics_name_routes_without_it(below: aiohttp.ClientSession) -> None:
    await call(below, f"{PREFIX}/api/tasks", {"type": "t"})
    await call(below, f"{PREFIX}/api/stats")
    text = (await call(below, "/metrics")).body.decode()
    for route in ("/api/tasks", "/api/stats"):
        assert f'route="{route}"' in text
    assert f'route="{PREFIX}' not in text


async def test_forwarded_headers_change_nothing(below: aiohttp.ClientSession) -> None:
    told = {"X-Forwarded-Prefix": "/evil", "X-Forwarded-Host": "evil.example", "Host": "evil"}
    made = await call(below, f"{PREFIX}/api/tasks", {"type": "t"}, **told)
    assert made.headers["Location"].startswith(f"{PREFIX}/api/tasks/")


async def test_mounted_in_another_application_both_prefixes_count(settings: Settings) -> None:
    outer = web.Application()
    outer.add_subapp("/outer", application(dataclasses.replace(settings, api_prefix="/in")))
    runner = web.AppRunner(outer)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client:
            made = await call(client, "/outer/in/api/tasks", {"type": "t"})
            assert made.headers["Location"].startswith("/outer/in/api/tasks/")
            document = (await call(client, "/outer/in/openapi.json")).json
            assert document["servers"] == [{"url": "/outer/in"}]
            assert (await call(client, "/outer/healthz")).status == 200
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("text", ["tidemill", "/", "/tidemill/", "/a//b", "/a/../b", "/ä", "/a?b"])
def test_what_is_no_prefix_is_refused_at_the_start(
    settings: Settings, db: Database, text: str
) -> None:
    with pytest.raises(ConfigurationError, match="TIDEMILL_API_PREFIX"):
        Api.of(dataclasses.replace(settings, api_prefix=text), db, Hints(db))
