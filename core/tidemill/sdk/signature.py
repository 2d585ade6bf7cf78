"""Read a handler's signature: which payload fields it takes, and whether it wants its context."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from tidemill.errors import ConfigurationError
from tidemill.sdk.context import Context
from tidemill.sdk.resources import Resource

_FIELD_KINDS = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@dataclass(frozen=True, slots=True)
class PayloadField:
    """One field of the payload. `default` is `inspect.Parameter.empty` for a required one."""

    name: str
    annotation: Any
    default: Any

    @property
    def required(self) -> bool:
        """Whether a payload without this field is refused."""
        return self.default is inspect.Parameter.empty


@dataclass(frozen=True, slots=True)
class Signature:
    """What a handler takes. `extra` = it has `**name`, so unknown payload fields are allowed.

    `resources` are parameters that the worker fills in, by name; `given` are these and the context:
    no payload may fill them, not even where `extra` fields are allowed.
    """

    fields: tuple[PayloadField, ...]
    extra: bool
    wants_context: bool
    resources: Mapping[str, Resource]
    given: frozenset[str]


def read_signature(function: Callable[..., Any]) -> Signature:
    """Return what `function` takes. Raises ConfigurationError for what no payload can fill."""
    hints = _hints(function)
    fields: list[PayloadField] = []
    resources: dict[str, Resource] = {}
    given: set[str] = set()
    extra = wants_context = False
    for place, parameter in enumerate(inspect.signature(function).parameters.values()):
        annotation = hints.get(parameter.name, Any)
        if annotation is Context:
            _check_context(function, parameter, place)
            wants_context = True
            given.add(parameter.name)
        elif parameter.kind is inspect.Parameter.VAR_KEYWORD:
            _check_extra(function, parameter, annotation)
            extra = True
        elif parameter.kind in _FIELD_KINDS and (resource := _resource(annotation)):
            resources[parameter.name] = resource
            given.add(parameter.name)
        elif parameter.kind in _FIELD_KINDS:
            fields.append(PayloadField(parameter.name, annotation, parameter.default))
        else:
            raise ConfigurationError(
                f"{name_of(function)}: parameter `{parameter}` must be passable by name, "
                "because payload fields are passed by name"
            )
    return Signature(tuple(fields), extra, wants_context, resources, frozenset(given))


def name_of(function: Callable[..., Any]) -> str:
    """Return where `function` is, for messages."""
    return f"{function.__module__}.{function.__qualname__}"


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(function, include_extras=True)
    except (NameError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"{name_of(function)}: type hints must be resolvable at module level: {error}"
        ) from error


def _resource(annotation: Any) -> Resource | None:
    if get_origin(annotation) is not Annotated:
        return None
    return next((each for each in get_args(annotation)[1:] if isinstance(each, Resource)), None)


def _check_context(function: Callable[..., Any], parameter: inspect.Parameter, place: int) -> None:
    if place != 0 or parameter.kind is inspect.Parameter.KEYWORD_ONLY:
        raise ConfigurationError(
            f"{name_of(function)}: the Context must be the first parameter (got `{parameter}`)"
        )


def _check_extra(
    function: Callable[..., Any], parameter: inspect.Parameter, annotation: Any
) -> None:
    if annotation not in (Any, object):
        raise ConfigurationError(
            f"{name_of(function)}: `{parameter}` must be annotated object or Any: "
            "extra payload fields are passed as they came"
        )
