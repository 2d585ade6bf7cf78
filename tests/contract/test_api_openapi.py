"""/openapi.json against the routes, and answers against it."""

import json
from typing import Any

import aiohttp
import jsonschema
import pytest
from jsonschema.validators import Draft202012Validator

from tests.support import described
from tests.support.http import ask, enqueue
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


async def test_answers_are_as_described(http: aiohttp.ClientSession) -> None:
    """Each answer of each contract test is held against the document; here, that it would tell."""
    made = await enqueue(http, idempotency_key="k", retry={"policy": "fixed"}, headers={"a": "b"})
    for status, body in (
        (201, {**made.json, "colour": "red"}),
        (201, {**made.json, "status": "lost"}),
        (202, made.json),
        (409, made.json),
    ):
        with pytest.raises((AssertionError, jsonschema.ValidationError)):
            described.hold(
                "POST", "/api/tasks", status, "application/json", json.dumps(body).encode()
            )
    with pytest.raises(AssertionError):
        described.hold("POST", "/api/tasks", 201, "text/plain", made.body)


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


async def test_schemas_of_acts_and_checks_agree(http: aiohttp.ClientSession) -> None:
    spec = await document(http)
    bodies: dict[tuple[str, str], list[Any]] = {
        ("POST", "/api/tasks/reprioritise"): [
            {"filter": {"queue": "q"}, "priority": "low"},
            {"filter": {"queue": "q", "status": "queued"}, "priority": 1, "limit": 5},
            {"filter": {}, "all": True, "dry_run": True, "priority": 1},
            {"filter": {"queue": None, "type": "t"}, "priority": 1, "after": None},
            {"filter": {"queue": "q"}},
            {"filter": {"queue": "?"}, "priority": 1},
            {"filter": {"status": "odd"}, "priority": 1},
            {"filter": {"queue": "q"}, "priority": 1, "everything": True},
            {"priority": 1},
        ],
        ("PUT", "/api/queues/q"): [
            {},
            {"max_depth": 1, "rate_limit": {"tasks": 1, "seconds": 1}, "retention": None},
            {"starvation_seconds": 0, "unknown_types": "reject"},
            {"max_depth": 0},
            {"rate_limit": {"tasks": 1}},
            {"unknown_types": "maybe"},
            {"paused": True},
        ],
        ("PUT", "/api/task-types/t"): [
            {},
            {"schema": {"type": "object"}, "queue": "q"},
            {"schema": []},
            {"payload_schema": None},
        ],
    }
    for (method, path), examples in bodies.items():
        found = described.operation_of(method, path)
        assert found
        content = found[1]["requestBody"]["content"]["application/json"]["schema"]
        validator = Draft202012Validator({**content, "components": spec["components"]})
        for body in examples:
            answer = await ask(http, method, path, json=body)
            assert (answer.status < 400) == validator.is_valid(body), (path, body, answer)


def test_every_query_is_described() -> None:
    listed = {(each.method, each.path): each.query for each in ENDPOINTS if each.query is not None}
    assert set(listed) >= {("GET", "/api/tasks"), ("POST", "/api/queues/{name}/claim")}
    for (method, path), query in listed.items():
        found = described.operation_of(method, path)
        assert found
        parameters = {p["name"]: p for p in found[1]["parameters"] if p["in"] == "query"}
        assert parameters.keys() == query.model_fields.keys()
        for each in parameters.values():
            Draft202012Validator.check_schema(each["schema"])
