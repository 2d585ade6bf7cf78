"""Every route against callers without a token, and with tokens of every scope but its own."""

import hashlib
import json

import aiohttp
import pytest

from tests.contract.conftest import Start
from tests.support import postgres
from tests.support.http import Answer, assert_problem
from tests.support.problem_cases import Calls
from tests.support.seeds import seed
from tidemill.store import Store
from tidemill_api.auth.scopes import GRANTED, Scope
from tidemill_api.endpoints import Endpoint
from tidemill_api.routes import ENDPOINTS

GUARDED = [each for each in ENDPOINTS if each.scope is not Scope.OPEN]
TOKENS = {
    "tokens": [
        {"name": s, "sha256": hashlib.sha256(s.encode()).hexdigest(), "scopes": [s]}
        for s in GRANTED
    ]
}


@pytest.fixture
async def http(start_api: Start, database_url: str) -> aiohttp.ClientSession:
    """A server that knows a token of each scope, named as the scope."""
    return await start_api(postgres.settings_of(database_url, tokens=json.dumps(TOKENS)))


async def answer_to(
    http: aiohttp.ClientSession, endpoint: Endpoint, calls: Calls, token: str | None
) -> int:
    call = calls.valid(endpoint)
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with http.request(call.method, call.path, headers=headers, **call.options()) as response:
        if response.status in (401, 403):  # others may be streams that do not end
            told = {name.title(): value for name, value in response.headers.items()}
            assert_problem(Answer(response.status, told, await response.read()))
            assert "Www-Authenticate" in told
        return response.status


async def test_no_route_but_the_open_ones_answers_who_has_no_token(
    http: aiohttp.ClientSession, store: Store
) -> None:
    calls = Calls(await seed(store))
    assert {each.name for each in ENDPOINTS} - {each.name for each in GUARDED} <= {
        *("getHealth", "getLiveness", "getReadiness", "getIndex", "getOpenApi", "getVersion")
    }
    for token in (None, "wrong"):
        found = {each.name: await answer_to(http, each, calls, token) for each in GUARDED}
        assert {name: each for name, each in found.items() if each != 401} == {}


async def test_no_route_answers_a_token_of_other_scopes(
    http: aiohttp.ClientSession, store: Store
) -> None:
    calls = Calls(await seed(store))
    for scope in GRANTED:
        others = [e for e in GUARDED if scope not in (e.scope, Scope.ADMIN)]
        found = {each.name: await answer_to(http, each, calls, scope.value) for each in others}
        assert {name: each for name, each in found.items() if each != 403} == {}


async def test_each_route_lets_its_own_scope_in(http: aiohttp.ClientSession, store: Store) -> None:
    calls = Calls(await seed(store))
    found = {each.name: await answer_to(http, each, calls, each.scope.value) for each in GUARDED}
    assert {name: each for name, each in found.items() if each in (401, 403)} == {}
