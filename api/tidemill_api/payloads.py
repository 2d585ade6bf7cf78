"""Payloads against their type's JSON Schema: compiled once a schema, every fault named."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jsonschema import SchemaError
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import Draft202012Validator, validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

from tidemill.errors import Fault
from tidemill_api import quick
from tidemill_api.paths import rendered
from tidemill_api.strictjson import MAX_FAULTS

_RULES: Mapping[str, str] = {
    "type": "must be of type {}",
    "enum": "must be one of {}",
    "const": "must be {}",
    "minimum": "must be at least {}",
    "maximum": "must be at most {}",
    "exclusiveMinimum": "must be more than {}",
    "exclusiveMaximum": "must be less than {}",
    "multipleOf": "must be a multiple of {}",
    "minLength": "must have at least {} characters",
    "maxLength": "must have at most {} characters",
    "pattern": "must match {}",
    "minItems": "must have at least {} entries",
    "maxItems": "must have at most {} entries",
    "minProperties": "must have at least {} fields",
    "maxProperties": "must have at most {} fields",
}
_LONGEST_RULE_VALUE = 300


class PayloadCheck:
    """One type's schema, ready to check payloads. A type without a schema allows everything."""

    def __init__(self, name: str, schema: dict[str, Any] | None) -> None:
        """Compile `schema`; one that is not a JSON Schema makes every payload faulty."""
        self.schema = schema
        self.broken: str | None = None
        self._name = name
        self._validator: Validator | None = None
        if schema is not None:
            self._validator = self._compiled(schema)
        self._accepts = quick.compiled(schema) if schema is not None and self._validator else None

    def faults(self, payload: Any, where: str = "payload") -> list[Fault]:
        """Return what is wrong with `payload`; `where` starts each fault's path."""
        if self._validator is None:
            return [] if self.broken is None else [self._unusable(where, self.broken)]
        if self._accepts is not None and self._accepts(payload):
            return []
        try:
            return _listed(self._validator.iter_errors(payload), where)
        except (Unresolvable, RecursionError, ArithmeticError, re.error, ValueError) as error:
            # a reference to nowhere or to itself, a number too large for `multipleOf`, no regex,
            # an `$id` that is no address
            return [self._unusable(where, f"{type(error).__name__} while checking")]

    def _compiled(self, schema: dict[str, Any]) -> Validator | None:
        if not isinstance(schema.get("$schema", ""), str):
            self.broken = "$schema must be text"
            return None
        kind = validator_for(schema, default=Draft202012Validator)
        try:
            kind.check_schema(schema)
        except (SchemaError, RecursionError) as error:
            self.broken = str(getattr(error, "message", "is nested too deep"))[:_LONGEST_RULE_VALUE]
            return None
        # An empty registry: a schema never makes this process fetch an address.
        return kind(schema, registry=Registry())

    def _unusable(self, where: str, why: str) -> Fault:
        return Fault(where, f"cannot be checked by the JSON Schema of type {self._name}: {why}")


def _listed(errors: Iterable[ValidationError], where: str) -> list[Fault]:
    faults: dict[tuple[str, str], Fault] = {}
    for error in errors:
        for fault in _faults_of(error, where):
            faults.setdefault((fault.field, fault.rule), fault)
        if len(faults) >= MAX_FAULTS:
            break
    return list(faults.values())[:MAX_FAULTS]


def _faults_of(error: ValidationError, where: str) -> Iterator[Fault]:
    steps: list[str | int] = list(error.absolute_path)
    keyword, wanted, instance = _parts(error)
    if keyword == "required":
        for name in wanted:
            if name not in instance:
                yield Fault(rendered([*steps, name], where), "is required")
    elif keyword == "additionalProperties" and wanted is False:
        schema: Any = error.schema
        for name in _extras(instance, schema):
            yield Fault(rendered([*steps, name], where), "is not a known field", instance[name])
    else:
        yield Fault(rendered(steps, where), _rule(keyword, wanted), instance)


def _parts(error: ValidationError) -> tuple[str, Any, Any]:
    """Return the keyword, its value in the schema, and the part of the payload that broke it."""
    return str(error.validator), error.validator_value, error.instance


def _extras(instance: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    patterns = [re.compile(pattern) for pattern in schema.get("patternProperties", ())]
    known = schema.get("properties", {})
    return [
        name
        for name in instance
        if name not in known and not any(pattern.search(name) for pattern in patterns)
    ]


def _rule(keyword: str, wanted: Any) -> str:
    if keyword in ("anyOf", "oneOf") and (kinds := _kinds(wanted)):
        return f"must be of type {kinds}"
    if keyword == "type" and not isinstance(wanted, str):
        wanted = " or ".join(wanted)
    shown = wanted if isinstance(wanted, str) else json.dumps(wanted)
    shown = shown[:_LONGEST_RULE_VALUE]
    return _RULES.get(keyword, f"must satisfy {keyword} {{}}").format(shown)


def _kinds(branches: Any) -> str | None:
    """Return `string or null` for alternatives that are plain types, else None."""
    kinds: list[Any] = [branch["type"] for branch in branches if "type" in branch]
    if len(kinds) != len(branches) or not all(isinstance(kind, str) for kind in kinds):
        return None
    return " or ".join(kinds)
