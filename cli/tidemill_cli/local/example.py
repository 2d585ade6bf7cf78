"""A curl line to try, made from a registered task type's JSON Schema."""

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from tidemill.models import TaskType

_BY_TYPE: dict[str, Any] = {
    "string": "hello",
    "integer": 1,
    "number": 1.5,
    "boolean": True,
    "array": [],
    "null": None,
}


def curl(address: str, types: Sequence[TaskType]) -> str:
    """Return a command that enqueues one task of the first type."""
    body: dict[str, Any] = {"type": "my_task", "payload": {}}
    if types:
        body = {"type": types[0].name, "payload": payload(types[0].schema or {})}
    data = shlex.quote(json.dumps(body))
    return f"curl -s {address}/api/tasks -H 'content-type: application/json' -d {data}"


def payload(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object with a plausible value for each required field."""
    return _object(schema, schema.get("$defs", {}))


def _object(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> dict[str, Any]:
    known = schema.get("properties", {})
    return {name: _value(known.get(name, {}), defs) for name in schema.get("required", ())}


def _value(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> Any:
    if "$ref" in schema:
        return _value(defs.get(str(schema["$ref"]).rpartition("/")[2], {}), defs)
    if schema.get("enum"):
        return schema["enum"][0]
    for alternative in schema.get("anyOf", ()):
        return _value(alternative, defs)
    kind: Any = schema.get("type", "string")
    first: Any = kind if isinstance(kind, str) else next(iter(kind), "string")
    return _object(schema, defs) if first == "object" else _BY_TYPE.get(first, "hello")
