"""An HTTP client whose url is wrong: its error says what was asked and what was found."""

from collections.abc import AsyncIterator, Callable
from uuid import UUID

import pytest
from aiohttp import web

from tidemill import HttpClient, NewTask
from tidemill.client import calls
from tidemill.errors import ApiUnavailable, ConfigurationError
from tidemill_cli.local.postgres import free_port

Answer = Callable[[], web.Response]


@pytest.fixture
async def stranger(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[str, list[Answer]]]:
    """Return the url of a server that is no Tidemill, and what it answers: the first, always."""
    monkeypatch.setattr(calls, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(calls, "LONGEST_PAUSE_SECONDS", 0.01)
    answers: list[Answer] = []

    async def answer(request: web.Request) -> web.Response:
        del request
        return answers[0]()

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/app", answers
    await runner.cleanup()


def html() -> web.Response:
    return web.Response(text="<h1>Welcome</h1>", content_type="text/html")


def nothing_here() -> web.Response:
    return web.json_response({"error": "not found"}, status=404)


@pytest.mark.parametrize(
    ("answer", "found"),
    [(html, "(200 OK, text/html; charset=utf-8)"), (nothing_here, "(404 Not Found, application/")],
)
async def test_another_server_is_named_with_what_it_answered(
    stranger: tuple[str, list[Answer]], answer: Answer, found: str
) -> None:
    url, answers = stranger
    answers.append(answer)
    async with HttpClient(url) as client:
        with pytest.raises(ApiUnavailable) as refused:
            await client.enqueue(NewTask(type="t"))
    told = str(refused.value)
    assert told.startswith(f"POST {url}/api/tasks/batch was answered by something that is no ")
    assert found in told


async def test_another_service_s_json_is_no_bare_key_error(
    stranger: tuple[str, list[Answer]],
) -> None:
    url, answers = stranger
    answers.append(lambda: web.json_response({"items": []}))
    async with HttpClient(url) as client:
        for call in (client.enqueue(NewTask(type="t")), client.get(UUID(int=1))):
            with pytest.raises(ApiUnavailable, match=f"what answers at {url} is no Tidemill API"):
                await call


async def test_where_nobody_listens_the_url_is_named(
    stranger: tuple[str, list[Answer]],
) -> None:
    del stranger  # its fixture shortens the pauses
    url = f"http://127.0.0.1:{free_port()}"
    async with HttpClient(url) as client:
        with pytest.raises(ApiUnavailable, match=f"the API at {url} cannot be reached"):
            await client.enqueue(NewTask(type="t"))


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://localhost", "http://", ""])
def test_a_url_without_its_scheme_or_host_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"must be http://host\[:port\] or https://"):
        HttpClient(url)
