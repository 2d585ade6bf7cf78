"""Between the JSON that a task left as its result and what its handler's type hint promises."""

from collections.abc import Callable
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic_core import SchemaError

from tidemill.errors import InvalidResult


class ResultCodec:
    """Decodes the results of one handler. The type hint is read at the first result."""

    def __init__(self, function: Callable[..., Any]) -> None:
        """Decode by the return annotation of `function`; without one results stay JSON."""
        self._function = function
        self._adapter: TypeAdapter[Any] | None = None
        self._read = False

    def decode(self, value: Any) -> Any:
        """Return `value` as the hint says. Raises InvalidResult for one that does not fit it."""
        if not self._read:
            self._adapter, self._read = _adapter_of(self._function), True
        if self._adapter is None:
            return value
        try:
            return self._adapter.validate_python(value)
        except ValidationError as error:
            raise InvalidResult(f"{self._function.__name__} left {_first_of(error)}") from None


def _adapter_of(function: Callable[..., Any]) -> TypeAdapter[Any] | None:
    hint = get_type_hints(function, include_extras=True).get("return", Any)
    if hint is Any:
        return None
    try:
        return TypeAdapter(hint)
    except (PydanticUserError, SchemaError):
        return None  # a class that pydantic cannot make: the handler's result was JSON all the same


def _first_of(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
    return f"a result that is not what its type hint says: result{place}: {first['msg']}"
