"""From parsed JSON to requests: runs their models and names every fault with its place."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tidemill.errors import Fault, InvalidTask
from tidemill.models import NewTask
from tidemill_api.paths import rendered
from tidemill_api.problems import Problem, summary
from tidemill_api.requests.fields import Strict
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
Request = TypeVar("Request", bound=Strict)
_Validate = Callable[[Any], TaskRequest]
_task_request: Final[_Validate] = TaskRequest.__pydantic_validator__.validate_python
"""`TaskRequest.model_validate` without its options: half of what it costs."""


def task_of(value: Any, where: str = "") -> NewTask:
    """Return the task in `value`; `where` starts each fault's path. Raises InvalidTask."""
    try:
        request = _task_request(value)
    except ValidationError as error:
        raise InvalidTask(*_faults(error, where)) from None
    if faults := request.faults():
        raise InvalidTask(*_placed(faults, where))
    return request.value()


def request_of(model: type[Request], value: Any) -> Request:
    """Return the request in `value`. Raises a 400 problem that names every fault."""
    try:
        request = model.model_validate(value)
    except ValidationError as error:
        raise invalid(*_faults(error)) from None
    if faults := request.faults():
        raise invalid(*faults)
    return request


def invalid(*faults: Fault) -> Problem:
    """Return the problem of a request, other than a task, that breaks rules."""
    return Problem(400, "invalid-request", summary(faults), faults)


def raise_all(faults: Sequence[Fault]) -> None:
    """Raise InvalidTask with the first `MAX_FAULTS` of `faults`, if there are any."""
    if faults:
        raise InvalidTask(*faults[:MAX_FAULTS])


def _faults(error: ValidationError, where: str = "") -> list[Fault]:
    return [_fault(each, where) for each in error.errors(include_url=False)[:MAX_FAULTS]]


def _placed(faults: Sequence[Fault], where: str) -> list[Fault]:
    start = f"{where}." if where else ""
    return [Fault(start + each.field, each.rule, each.value) for each in faults]


def _fault(detail: ErrorDetails, where: str) -> Fault:
    kind = detail["type"]
    template = _RULES.get(kind)
    rule = template.format(**detail.get("ctx", {})) if template else detail["msg"]
    value = None if kind in _VALUELESS else detail["input"]
    # pydantic marks a faulty mapping key with a last step of its own
    steps = [step for step in detail["loc"] if step != "[key]"]
    return Fault(rendered(steps, where) or "body", rule, value)
