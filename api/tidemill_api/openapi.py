"""The OpenAPI 3.1 document, made from the routes and the models that check requests."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

import tidemill
from tidemill_api import etags
from tidemill_api.auth.scopes import Scope
from tidemill_api.endpoints import PROBLEMS, Endpoint, Parameter, Reply
from tidemill_api.problems import PROBLEM_JSON
from tidemill_api.responses.base import ProblemAnswer

_REF: Final = "#/components/schemas/{model}"
REFUSALS: Final = (401, 403, 429)
"""What a guarded operation answers to those whom it does not let in."""

ALWAYS: Final = (431, 500, 503)
"""What every operation may answer."""

SCHEME: Final = "token"
SCHEMES: Final = {
    "securitySchemes": {
        SCHEME: {
            "type": "http",
            "scheme": "bearer",
            "description": "A token with the scope that the operation names, or admin. Tokens may "
            "be limited to queues.",
        }
    }
}
_PROBLEM: Final = {"$ref": _REF.format(model=ProblemAnswer.__name__)}
Json = dict[str, Any]
_Input = tuple[str, JsonSchemaMode, TypeAdapter[Any]]


def document(endpoints: Iterable[Endpoint], prefix: str = "", *, secured: bool = False) -> Json:
    """Return the document of `endpoints`, whose paths begin with `prefix`.

    `secured`: they ask for tokens.
    """
    listed = tuple(endpoints)
    schemas, components = _schemas(listed)
    paths: Json = {}
    for each in listed:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(
            each, schemas, secured=secured
        )
    return {
        "openapi": "3.1.0",
        **({"servers": [{"url": prefix}]} if prefix else {}),
        "info": {
            "title": "Tidemill",
            "version": tidemill.__version__,
            "description": "A task queue on Postgres. Errors are application/problem+json.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {"schemas": components, **(SCHEMES if secured else {})},
    }


def _schemas(endpoints: tuple[Endpoint, ...]) -> tuple[dict[str, Json], Json]:
    """Return the schema of each body and answer by its key, and the shared components."""
    inputs = [_input("serialization", ProblemAnswer)]
    for each in endpoints:
        inputs += [_input("validation", model) for model in each.bodies.values()]
        replies = (reply.model for reply in each.replies.values())
        inputs += [_input("serialization", model) for model in replies if model is not None]
    made, definitions = TypeAdapter.json_schemas(inputs, ref_template=_REF)
    return {key: schema for (key, _), schema in made.items()}, definitions.get("$defs", {})


def _input(mode: JsonSchemaMode, model: Any) -> _Input:
    return _key(model), mode, TypeAdapter[Any](model)


def _key(model: Any) -> str:
    return str(model)


def _operation(endpoint: Endpoint, schemas: dict[str, Json], *, secured: bool) -> Json:
    replies = {str(s): _reply(r, schemas) for s, r in _replies(endpoint).items()}
    guarded = secured and endpoint.scope is not Scope.OPEN
    statuses = (*endpoint.problems, *(REFUSALS if guarded else ()), *ALWAYS)
    problems = {str(status): _problem(status) for status in statuses}
    operation: Json = {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "tags": [endpoint.tag],
        "responses": {**problems, **replies},
    }
    if secured:
        operation["security"] = [{SCHEME: [endpoint.scope]}] if guarded else []
    parameters = [_parameter(each) for each in (*endpoint.parameters, *_query(endpoint))]
    if parameters:
        operation["parameters"] = parameters
    if endpoint.bodies:
        content = {media: {"schema": schemas[_key(m)]} for media, m in endpoint.bodies.items()}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _replies(endpoint: Endpoint) -> Mapping[int, Reply]:
    if not endpoint.tagged:
        return endpoint.replies
    tag = {"ETag": etags.MEANING}
    tagged = {status: replace(each, headers=tag) for status, each in endpoint.replies.items()}
    return {**tagged, etags.UNCHANGED: Reply("as it was when it had that tag", headers=tag)}


def _query(endpoint: Endpoint) -> list[Parameter]:
    """Return the parameters that the endpoint's model of its query allows."""
    if endpoint.query is None:
        return []
    found: list[Parameter] = []
    fields: dict[str, Json] = endpoint.query.model_json_schema()["properties"]
    for name, schema in fields.items():
        # absent is how a query says null
        kinds = [kind for kind in schema.get("anyOf", [schema]) if kind != {"type": "null"}]
        told = {k: v for k, v in kinds[0].items() if k not in ("title", "description")}
        meaning = schema.get("description", name.replace("_", " "))
        found.append(Parameter(name, "query", meaning, told))
    return found


def _reply(reply: Reply, schemas: dict[str, Json]) -> Json:
    made: Json = {"description": reply.meaning}
    if reply.model is not None:
        made["content"] = {reply.media: {"schema": schemas[_key(reply.model)]}}
    if reply.headers:
        made["headers"] = {
            name: {"description": meaning, "schema": {"type": "string"}}
            for name, meaning in reply.headers.items()
        }
    return made


def _problem(status: int) -> Json:
    return {"description": PROBLEMS[status], "content": {PROBLEM_JSON: {"schema": _PROBLEM}}}


def _parameter(parameter: Parameter) -> Json:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.place == "path",
        "description": parameter.meaning,
        "schema": dict(parameter.schema),
    }
