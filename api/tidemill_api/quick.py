"""A fast yes for payloads of plain schemas; the library judges all that gets no yes here.

Most payload schemas are an object with typed fields, for which walking the schema with jsonschema
costs more than the rest of an enqueue. `compiled` turns such a schema into nested functions. It
knows few keywords and gives up on a schema with any other, so a yes is always the library's yes
(tests hold the two against each other), and only the library says no, with its reasons.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeGuard

Accepts = Callable[[Any], bool]

_NOTES: Final = frozenset(
    {"title", "description", "default", "examples", "deprecated", "$comment", "format"}
)

_OBJECT: Final = frozenset({"properties", "required", "additionalProperties"})


class _UnknownError(Exception):
    """The schema uses what is not known here."""


def compiled(schema: Mapping[str, Any]) -> Accepts | None:
    """Return a function that is True for payloads that surely satisfy `schema`, or None."""
    try:
        return _schema(schema)
    except _UnknownError:
        return None


def _schema(schema: Any) -> Accepts:
    if not _is_object(schema):
        raise _UnknownError
    if schema.keys() - _MAKERS.keys() - _NOTES - _OBJECT:
        raise _UnknownError
    rules = [maker(schema) for keyword, maker in _MAKERS.items() if keyword in schema]
    if schema.keys() & _OBJECT:
        rules.append(_object(schema))
    return rules[0] if len(rules) == 1 else lambda value: all(rule(value) for rule in rules)


def _is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def _is_list(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def _type(fields: Mapping[str, Any]) -> Accepts:
    named = fields["type"]
    names = [named] if isinstance(named, str) else list(named)
    if not names or any(name not in _TYPES for name in names):
        raise _UnknownError
    if len(names) == 1:
        return _TYPES[names[0]]
    tests = [_TYPES[name] for name in names]
    return lambda value: any(test(value) for test in tests)


def _object(fields: Mapping[str, Any]) -> Accepts:
    """Rules for the fields of an object; anything that is no object satisfies them."""
    known = {name: _schema(inner) for name, inner in fields.get("properties", {}).items()}
    required = frozenset(fields.get("required", ()))
    open_to_more = fields.get("additionalProperties", True)
    if not isinstance(open_to_more, bool):
        raise _UnknownError

    def accepts(value: Any) -> bool:
        if not _is_object(value):
            return True
        if not required <= value.keys():
            return False
        for name, inner in value.items():
            rule = known.get(name)
            if rule is None:
                if not open_to_more:
                    return False
            elif not rule(inner):
                return False
        return True

    return accepts


def _list_items(fields: Mapping[str, Any]) -> Accepts:
    rule = _schema(fields["items"])
    return lambda value: not _is_list(value) or all(map(rule, value))


def _any_of(fields: Mapping[str, Any]) -> Accepts:
    rules = [_schema(branch) for branch in fields["anyOf"]]
    return lambda value: any(rule(value) for rule in rules)


def _min_length(fields: Mapping[str, Any]) -> Accepts:
    least = fields["minLength"]
    return lambda value: not isinstance(value, str) or len(value) >= least


def _max_length(fields: Mapping[str, Any]) -> Accepts:
    most = fields["maxLength"]
    return lambda value: not isinstance(value, str) or len(value) <= most


def _minimum(fields: Mapping[str, Any]) -> Accepts:
    least = fields["minimum"]
    return lambda value: not _number(value) or value >= least


def _maximum(fields: Mapping[str, Any]) -> Accepts:
    most = fields["maximum"]
    return lambda value: not _number(value) or value <= most


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _integer(value: Any) -> bool:
    """Whole numbers, however written: JSON Schema counts 1.0 among them."""
    if isinstance(value, float):
        return math.isfinite(value) and value.is_integer()
    return isinstance(value, int) and not isinstance(value, bool)


_TYPES: Final[Mapping[str, Accepts]] = {
    "string": lambda value: isinstance(value, str),
    "integer": _integer,
    "number": _number,
    "boolean": lambda value: isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "null": lambda value: value is None,
}
_MAKERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Accepts]]] = {
    "type": _type,
    "items": _list_items,
    "anyOf": _any_of,
    "minLength": _min_length,
    "maxLength": _max_length,
    "minimum": _minimum,
    "maximum": _maximum,
}
