"""/openapi.json against the routes, and answers against it."""

from typing import Any

import aiohttp
import jsonschema
from jsonschema.validators import Draft202012Validator

from tests.support.http import Answer, ask, enqueue
from tidemill_api.routes import ENDPOINTS

REF = "#/components/schemas/"


async def document(http: aiohttp.ClientSession) -> dict[str, Any]:
    answer = await ask(http, "GET", "/openapi.json")
    assert answer.status == 200
    found: dict[str, Any] = answer.json
    return found


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [ref for child in value.values() for ref in references(child)]
    if isinstance(value, list):
        return [ref for child in value for ref in references(child)]
    return []


async def test_it_names_exactly_the_routes(http: aiohttp.ClientSession) -> None:
    spec = await document(http)
    assert spec["openapi"].startswith("3.1")
    described = {(path, method.upper()) for path, item in spec["paths"].items() for method in item}
    assert described == {(each.path, each.method) for each in ENDPOINTS}
    for path, method in described:
        shown = path.replace("{id}", "00000000-0000-0000-0000-000000000000")
        shown = shown.replace("{name}", "none")
        answer = await ask(http, method, shown)
        assert answer.status != 405
        assert str(answer.status) in spec["paths"][path][method.lower()]["responses"]


async def test_all_references_lead_somewhere_and_schemas_are_valid(
    http: aiohttp.ClientSession,
) -> None:
    spec = await document(http)
    schemas = spec["components"]["schemas"]
    assert references(spec)
    for ref in references(spec):
        assert ref.startswith(REF)
        assert ref.removeprefix(REF) in schemas
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    operations = [op["operationId"] for item in spec["paths"].values() for op in item.values()]
    assert len(operations) == len(set(operations))


def matches(spec: dict[str, Any], path: str, method: str, answer: Answer) -> None:
    reply = spec["paths"][path][method]["responses"][str(answer.status)]
    [(media, content)] = reply["content"].items()
    assert answer.headers["Content-Type"].startswith(media)
    if media.endswith("json"):
        schema = {**content["schema"], "components": spec["components"]}
        jsonschema.validate(answer.json, schema, cls=Draft202012Validator)


async def test_answers_are_as_described(http: aiohttp.ClientSession) -> None:
    spec = await document(http)
    made = await enqueue(http, idempotency_key="k", retry={"policy": "fixed"}, headers={"a": "b"})
    matches(spec, "/api/tasks", "post", made)
    matches(
        spec,
        "/api/tasks",
        "post",
        await enqueue(http, idempotency_key="k", retry={"policy": "fixed"}, headers={"a": "b"}),
    )
    matches(spec, "/api/tasks", "post", await enqueue(http, priority="?", colour=1))
    matches(spec, "/api/tasks", "post", await enqueue(http, idempotency_key="k", payload=1))
    batch = [{"type": "t", "idempotency_key": "k"}, {"type": "t"}]
    matches(
        spec, "/api/tasks/batch", "post", await ask(http, "POST", "/api/tasks/batch", json=batch)
    )
    task = f"/api/tasks/{made.json['id']}"
    matches(spec, "/api/tasks/{id}", "get", await ask(http, "GET", task))
    matches(spec, "/api/tasks/{id}", "get", await ask(http, "GET", "/api/tasks/none"))
    matches(spec, "/api/tasks/{id}/history", "get", await ask(http, "GET", f"{task}/history"))
    for path in (
        "/api/stats",
        "/api/version",
        "/health",
        "/healthz",
        "/readyz",
        "/metrics",
        "/openapi.json",
        "/",
    ):
        matches(spec, path, "get", await ask(http, "GET", path))


async def test_request_schema_and_checks_agree(http: aiohttp.ClientSession) -> None:
    spec = await document(http)
    schema = {"$ref": f"{REF}TaskRequest", "components": spec["components"]}
    validator = Draft202012Validator(schema)
    bodies: list[dict[str, Any]] = [
        {"type": "t"},
        {"type": "t", "priority": "high", "delay_seconds": 1},
        {"type": "t", "run_at": None, "delay_seconds": 5},
        {"type": "t", "retry": {"policy": "list", "delays_seconds": [1]}},
        {},
        {"type": ""},
        {"type": "t", "x": 1},
        {"type": "t", "priority": 40000},
        {"type": "t", "priority": "urgent"},
        {"type": "t", "run_at": "2030-01-01T00:00:00Z", "delay_seconds": 1},
        {"type": "t", "max_retries": -1},
        {"type": "t", "headers": {"": "x"}},
        {"type": "t", "retry": {"policy": "sometimes"}},
    ]
    for body in bodies:
        answer = await ask(http, "POST", "/api/tasks", json=body)
        assert (answer.status == 201) == validator.is_valid(body), body
