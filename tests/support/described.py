"""Holds every answer of a test against /openapi.json: its status, its media type, its schema."""

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from jsonschema.protocols import Validator
from jsonschema.validators import Draft202012Validator
from yarl import URL

from tidemill_api.openapi import document
from tidemill_api.routes import ENDPOINTS

NO_ROUTE = {404, 405, 431}  # the last one comes before the route is looked for
PROBLEM = "application/problem+json"

# Raised before a route is known, by what is no HTTP at all.
_BAD_HTTP = "urn:tidemill:problem:bad-http"


@cache
def spec() -> dict[str, Any]:
    """Return the document."""
    return document(ENDPOINTS, secured=True)


def operation_of(method: str, path: str) -> tuple[str, Mapping[str, Any]] | None:
    """Return the path's template and what is said of `method` on it; None for no such route."""
    plain = URL(f"http://any{path}").raw_path  # as the client sends it: without dot segments
    for template in sorted(spec()["paths"], key=lambda each: "{" in each):
        found = re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), plain)
        if found:
            operation = spec()["paths"][template].get(method.lower())
            return None if operation is None else (template, operation)
    return None


def hold(method: str, path: str, status: int, media: str, body: bytes) -> None:
    """Assert that this answer is described."""
    if method == "HEAD" or (media == PROBLEM and json.loads(body)["type"] == _BAD_HTTP):
        return
    found = operation_of(method, path)
    if found is None:
        assert status in NO_ROUTE, (method, path, status)
        return
    template, operation = found
    responses = operation["responses"]
    assert str(status) in responses, (method, template, status, body)
    content = responses[str(status)].get("content")
    if content is None:
        assert body == b"", (method, template, status)
        return
    [expected] = content
    assert media.startswith(expected), (method, template, status, media)
    if expected.endswith("json"):
        _validator(template, method.lower(), str(status), expected).validate(json.loads(body))


@cache
def _validator(template: str, method: str, status: str, media: str) -> Validator:
    reply = spec()["paths"][template][method]["responses"][status]
    schema = {**reply["content"][media]["schema"], "components": spec()["components"]}
    return Draft202012Validator(schema)
