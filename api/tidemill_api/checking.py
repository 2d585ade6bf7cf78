"""From parsed JSON to tasks: runs the request models and names every fault with its place."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tidemill.errors import Fault, InvalidTask
from tidemill.models import NewTask
from tidemill_api.paths import rendered
from tidemill_api.requests.tasks import TaskRequest
from tidemill_api.strictjson import MAX_FAULTS

_RULES: Mapping[str, str] = {
    "missing": "is required",
    "extra_forbidden": "is not a known field",
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "greater_than": "must be more than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must match {pattern}",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "literal_error": "must be {expected}",
    "value_error": "{error}",
}
_VALUELESS = frozenset({"missing"})


def task_of(value: Any, where: str = "") -> NewTask:
    """Return the task in `value`; `where` starts each fault's path. Raises InvalidTask."""
    try:
        request = TaskRequest.model_validate(value)
    except ValidationError as error:
        details = error.errors(include_url=False)
        raise InvalidTask(*(_fault(each, where) for each in details[:MAX_FAULTS])) from None
    if faults := request.faults():
        raise InvalidTask(*(Fault(_under(where, f.field), f.rule, f.value) for f in faults))
    return request.value()


def raise_all(faults: Sequence[Fault]) -> None:
    """Raise InvalidTask with the first `MAX_FAULTS` of `faults`, if there are any."""
    if faults:
        raise InvalidTask(*faults[:MAX_FAULTS])


def _under(where: str, field: str) -> str:
    return f"{where}.{field}" if where else field


def _fault(detail: ErrorDetails, where: str) -> Fault:
    kind = detail["type"]
    template = _RULES.get(kind)
    rule = template.format(**detail.get("ctx", {})) if template else detail["msg"]
    value = None if kind in _VALUELESS else detail["input"]
    # pydantic marks a faulty mapping key with a last step of its own
    steps = [step for step in detail["loc"] if step != "[key]"]
    return Fault(rendered(steps, where) or "body", rule, value)
