"""From parsed JSON to requests: runs their models and names every fault with its place."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeGuard, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tidemill.errors import Fault, InvalidTask
from tidemill.models import NewTask
from tidemill.store.rules import is_queue, is_type
from tidemill_api.encoding import payload_text
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
_PLAIN: Final = frozenset({"type", "payload", "queue"})
_LONGEST: Final = 200
"""Of a type's name; what is longer is not even looked up among the known ones."""

_VALUELESS = frozenset({"missing"})
Request = TypeVar("Request", bound=Strict)
_Validate = Callable[[Any], TaskRequest]
_task_request: Final[_Validate] = TaskRequest.__pydantic_validator__.validate_python
"""`TaskRequest.model_validate` without its options: half of what it costs."""


def task_of(value: Any, where: str = "") -> NewTask:
    """Return the task in `value`; `where` starts each fault's path. Raises InvalidTask."""
    task = plain(value)
    if task is None:
        task = modelled(value, where)
    task.payload_text = payload_text(task.payload)
    return task


def plain(value: Any) -> NewTask | None:
    """Return the task of fields that nearly all tasks are made of, or None: look closer."""
    if not (_is_object(value) and value.keys() <= _PLAIN):
        return None
    kind, queue = value.get("type"), value.get("queue")
    if not (isinstance(kind, str) and len(kind) <= _LONGEST and is_type(kind)):
        return None
    if queue is not None and not (
        isinstance(queue, str) and len(queue) <= _LONGEST and is_queue(queue)
    ):
        return None
    return NewTask(type=kind, payload=value.get("payload", {}), queue=queue)


def _is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def modelled(value: Any, where: str) -> NewTask:
    """Return the task in `value`, whatever its fields are. Raises InvalidTask."""
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
