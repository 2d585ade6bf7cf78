"""The API inside another aiohttp application, with a worker beside it."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import aiohttp
import pytest
from aiohttp import web
from aiohttp.typedefs import Handler

from tests.support.http import Answer, assert_problem
from tests.support.tokens import bearer, entry, text_of
from tests.support.worker import eventually
from tidemill import App
from tidemill.errors import ConfigurationError, DatabaseUnavailable
from tidemill.settings import Settings
from tidemill_api import application
from tidemill_api.context import API
from tidemill_worker import Worker
from tidemill_worker.embedding import beside

PREFIX = "/jobs/tidemill"


@asynccontextmanager
async def serving(main: web.Application) -> AsyncGenerator[aiohttp.ClientSession]:
    """Run an application as a user would; yield a client of it."""
    runner = web.AppRunner(main)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(runner.cleanup)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0]
        client = aiohttp.ClientSession(f"http://{host}:{port}")
        try:
            yield client
            await runner.cleanup()
        finally:
            await client.close()


async def ask(client: aiohttp.ClientSession, method: str, path: str, **options: object) -> Answer:
    async with client.request(method, path, **options) as response:  # type: ignore[arg-type] # any
        headers = {name.title(): value for name, value in response.headers.items()}
        return Answer(response.status, headers, await response.read())


async def hello(request: web.Request) -> web.Response:
    del request
    return web.Response(text="the main application")


def mounted(settings: Settings) -> web.Application:
    main = web.Application()
    main.router.add_get("/", hello)
    main.add_subapp(f"{PREFIX}/", application(settings))
    return main


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[aiohttp.ClientSession]:
    async with serving(mounted(settings)) as session:
        yield session


async def test_it_asks_for_tokens_where_the_settings_name_some(settings: Settings) -> None:
    guarded = replace(settings, tokens=text_of(entry("reader", "read")))
    async with serving(mounted(guarded)) as client:
        path = f"{PREFIX}/api/tasks"
        assert (await ask(client, "POST", path, json={"type": "t"})).status == 401
        assert (await ask(client, "GET", path, headers=bearer("reader"))).status == 200
        assert (await ask(client, "GET", "/")).status == 200


async def test_it_answers_under_its_prefix_and_paths_that_it_tells_have_it(
    client: aiohttp.ClientSession,
) -> None:
    made = await ask(client, "POST", f"{PREFIX}/api/tasks", json={"type": "t"})
    assert made.status == 201
    assert made.headers["Location"] == f"{PREFIX}/api/tasks/{made.json['id']}"
    assert (await ask(client, "GET", made.headers["Location"])).json["id"] == made.json["id"]
    document = (await ask(client, "GET", f"{PREFIX}/openapi.json")).json
    assert document["servers"] == [{"url": PREFIX}]
    assert "/api/tasks" in document["paths"]
    for path in (await ask(client, "GET", f"{PREFIX}/")).json["paths"].values():
        assert (await ask(client, "GET", path)).status == 200, path


async def test_errors_are_problems_inside_the_prefix_and_the_main_one_s_own_outside(
    client: aiohttp.ClientSession,
) -> None:
    for method, path, status in (
        ("GET", "/no-such-path", 404),
        ("DELETE", "/api/tasks", 405),
        ("POST", "/api/tasks", 415),
        ("GET", "/api/tasks/none", 404),
    ):
        inside = await ask(client, method, PREFIX + path)
        assert inside.status == status
        assert_problem(inside)
    outside = await ask(client, "GET", "/no-such-path")
    assert outside.status == 404
    assert outside.headers["Content-Type"].startswith("text/plain")
    home = await ask(client, "GET", "/")
    assert home.body == b"the main application"
    assert "X-Request-Id" not in home.headers


async def test_a_middleware_of_the_main_application_guards_it(settings: Settings) -> None:
    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.headers.get("Authorization") != "Bearer secret":
            raise web.HTTPUnauthorized
        return await handler(request)

    main = web.Application(middlewares=[guard])
    main.add_subapp("/tidemill/", application(settings))
    async with serving(main) as client:
        assert (await ask(client, "GET", "/tidemill/api/stats")).status == 401
        allowed = {"Authorization": "Bearer secret"}
        assert (await ask(client, "GET", "/tidemill/api/stats", headers=allowed)).status == 200


async def test_a_worker_beside_it_runs_what_comes_in_and_drains_at_the_end(
    settings: Settings,
) -> None:
    tasks, began, go_on = App(), asyncio.Event(), asyncio.Event()

    @tasks.task
    async def slow() -> str:
        began.set()
        await go_on.wait()
        return "done"

    worker = Worker(tasks, settings=settings)
    main = mounted(settings)
    main.cleanup_ctx.append(beside(worker))
    async with serving(main) as client:
        made = (await ask(client, "POST", f"{PREFIX}/api/tasks", json={"type": "slow"})).json
        await asyncio.wait_for(began.wait(), 30)
        assert worker.ready
        asyncio.get_running_loop().call_soon(go_on.set)
    assert not worker.ready
    assert worker.leases == 0
    async with serving(mounted(settings)) as client:
        task = (await ask(client, "GET", f"{PREFIX}/api/tasks/{made['id']}")).json
    assert (task["status"], task["result"]) == ("succeeded", "done")


async def test_a_claim_that_waits_does_not_hold_up_the_end(settings: Settings) -> None:
    main, inner = web.Application(), application(settings)
    main.add_subapp("/tidemill/", inner)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(serving(main))
        worker = {"name": "far", "queues": ["default"]}
        made = await ask(client, "POST", "/tidemill/api/workers", json=worker)
        wanted = {"worker_id": made.json["worker_id"], "limit": 1}
        path = "/tidemill/api/queues/default/claim?wait=60"
        claim = asyncio.create_task(ask(client, "POST", path, json=wanted))
        await eventually(lambda: "default" in inner[API].claims._desks)  # it waits
        leaving = asyncio.create_task(stack.aclose())
        assert (await asyncio.wait_for(claim, 30)).json["tasks"] == []
        await asyncio.wait_for(leaving, 30)


async def test_without_a_database_it_says_so_at_once_or_at_the_start() -> None:
    with pytest.raises(ConfigurationError, match="TIDEMILL_DATABASE_URL"):
        application(Settings())
    away = Settings(database_url="postgresql://x:x@127.0.0.1:1/x", database_wait_seconds=0)
    runner = web.AppRunner(mounted(away))
    with pytest.raises(DatabaseUnavailable):
        await runner.setup()
    await runner.cleanup()


async def test_its_own_middleware_sees_only_its_requests(
    client: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, logger="tidemill_api"):
        await ask(client, "GET", "/")
        await ask(client, "GET", f"{PREFIX}/api/stats")
    assert [each.getMessage().split(" ->")[0] for each in caplog.records] == [
        f"GET {PREFIX}/api/stats"
    ]


async def test_two_of_them_serve_two_databases(settings: Settings) -> None:
    """Each has parts of its own; both figures are under their own prefix."""
    main = web.Application()
    main.add_subapp("/one/", application(settings))
    main.add_subapp("/two/", application(replace(settings, unknown_types="reject")))
    async with serving(main) as client:
        assert (await ask(client, "POST", "/one/api/tasks", json={"type": "t"})).status == 201
        refused = await ask(client, "POST", "/two/api/tasks", json={"type": "t"})
        assert refused.status == 400
        assert refused.json["type"] == "urn:tidemill:problem:unknown-type"
