"""Between JSON payloads and a handler's typed arguments, with pydantic."""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import GetCoreSchemaHandler, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic_core import PydanticSerializationError, SchemaError, core_schema, to_jsonable_python

from tidemill.errors import ConfigurationError, Fault, InvalidTask
from tidemill.sdk.signature import PayloadField, Signature, name_of, read_signature


class PayloadCodec:
    """Checks and decodes the payloads of one handler. `schema` is their JSON Schema."""

    def __init__(self, function: Callable[..., Any]) -> None:
        """Read the type hints of `function`; ConfigurationError when they cannot work."""
        self.signature = read_signature(function)
        try:
            self._adapter: TypeAdapter[dict[str, Any]] = TypeAdapter(_payload_of(self.signature))
            self.schema = _json_schema(self._adapter, self.signature, function)
        except (PydanticUserError, SchemaError, NameError) as error:
            reason = str(error).splitlines()[0]
            raise ConfigurationError(
                f"{name_of(function)}: type hints must be readable from JSON: {reason}"
            ) from error
        self._given = self.signature.given if self.signature.extra else frozenset[str]()
        self._takes_nothing = not self.signature.fields

    def decode(self, payload: Any) -> dict[str, Any]:
        """Return the handler's arguments by name. Raises InvalidTask naming each bad field."""
        if self._takes_nothing and payload == {}:
            return {}
        try:
            arguments = self._adapter.validate_python(payload)
        except ValidationError as error:
            raise InvalidTask(*_faults(error)) from None
        if self._given and (taken := self._given & arguments.keys()):
            rule = "must not be given: the worker fills it in"
            raise InvalidTask(*(Fault(f"payload.{name}", rule) for name in sorted(taken)))
        return arguments

    def encode(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return `values` (a producer's arguments) as JSON. Raises InvalidTask."""
        try:
            payload: dict[str, Any] = to_jsonable_python(dict(values))
        except (PydanticSerializationError, ValueError) as error:
            raise InvalidTask(Fault("payload", f"must be JSON: {error}")) from None
        self.decode(payload)
        return payload


def _payload_of(signature: Signature) -> Any:
    """Return a type that pydantic reads as a JSON object with the fields of `signature`.

    A dict schema rather than a model class: any parameter name is allowed, and decoding gives the
    keyword arguments themselves. Absent optional fields stay absent: the handler has its default.
    """

    class Payload:
        @classmethod
        def __get_pydantic_core_schema__(
            cls, source: Any, handler: GetCoreSchemaHandler
        ) -> core_schema.CoreSchema:
            return core_schema.typed_dict_schema(
                {each.name: _field_schema(each, handler) for each in signature.fields},
                extra_behavior="allow" if signature.extra else "forbid",
            )

    return Payload


def _field_schema(field: PayloadField, handler: GetCoreSchemaHandler) -> core_schema.TypedDictField:
    return core_schema.typed_dict_field(
        handler.generate_schema(field.annotation), required=field.required
    )


def _json_schema(
    adapter: TypeAdapter[dict[str, Any]], signature: Signature, function: Callable[..., Any]
) -> dict[str, Any]:
    schema = adapter.json_schema()
    schema["title"] = function.__name__
    schema["additionalProperties"] = signature.extra
    for field in signature.fields:
        if isinstance(field.default, str | int | float | bool | None):
            schema["properties"][field.name]["default"] = field.default
    return schema


def _faults(error: ValidationError) -> list[Fault]:
    return [
        Fault(
            "payload" + "".join(_step(part) for part in each["loc"]),
            each["msg"][:1].lower() + each["msg"][1:],
            None if each["type"] == "missing" else each["input"],
        )
        for each in error.errors(include_url=False)
    ]


def _step(part: int | str) -> str:
    return f"[{part}]" if isinstance(part, int) else f".{part}"
