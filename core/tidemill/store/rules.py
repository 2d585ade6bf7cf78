"""The rules of a task, checked before anything is sent: pure functions that return faults."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any

from tidemill import jsontext
from tidemill.errors import Fault
from tidemill.models import NewTask, queue_name_pattern, type_name_pattern

_TYPE = re.compile(type_name_pattern)
_QUEUE = re.compile(queue_name_pattern)

MAX_PAYLOAD_BYTES = 1_048_576

# field, least, most: in seconds where the name says so
_RANGES: tuple[tuple[str, float, float], ...] = (
    ("priority", -32768, 32767),
    ("delay_seconds", 0, 315_360_000),
    ("max_retries", 0, 1000),
    ("timeout_seconds", 0.001, 604_800),
    ("idempotency_ttl_seconds", 1, 31_536_000),
)
_WHOLE = frozenset({"priority", "max_retries"})
_LENGTHS: tuple[tuple[str, int, int], ...] = (("name", 1, 200), ("idempotency_key", 1, 255))

_SELDOM = (
    *(field for field, _, _ in (*_RANGES, *_LENGTHS)),
    *("run_at", "expires_at", "retry", "headers"),
)
_seldom = attrgetter(*_SELDOM)
_NOTHING = (None,) * len(_SELDOM)
"""What most tasks give of them: one look instead of eleven."""


@lru_cache(maxsize=1024)  # the same few names come with every task
def is_type(name: str) -> bool:
    """Return whether `name`, of no great length, is one of a task type."""
    return _TYPE.fullmatch(name) is not None


@lru_cache(maxsize=1024)
def is_queue(name: str) -> bool:
    """Return whether `name`, of no great length, is one of a queue."""
    return _QUEUE.fullmatch(name) is not None


def faults(tasks: Sequence[NewTask], payloads: list[str], max_payload_bytes: int) -> list[Fault]:
    """Return every broken rule of `tasks`, and fill `payloads` with their payloads as JSON text."""
    found: list[Fault] = []
    for place, task in enumerate(tasks):
        for field, rule, value in _faults_of(task):
            found.append(Fault(f"tasks[{place}].{field}", rule, value))
        try:
            text = task.payload_text or jsontext.dumps(task.payload)
        except (TypeError, ValueError, RecursionError) as error:
            found.append(Fault(f"tasks[{place}].payload", str(error) or "is nested too deep"))
            continue
        # a character is at most 4 bytes: most payloads need no second encoding to know their size
        if len(text) * 4 > max_payload_bytes and len(text.encode()) > max_payload_bytes:
            rule = f"must be at most {max_payload_bytes} bytes as JSON"
            found.append(Fault(f"tasks[{place}].payload", rule, f"{len(text.encode())} bytes"))
        payloads.append(text)
    return found


def _faults_of(task: NewTask) -> Iterator[tuple[str, str, Any]]:
    if (
        _seldom(task) == _NOTHING
        and is_type(task.type)
        and (task.queue is None or is_queue(task.queue))
    ):
        return
    if not is_type(task.type):
        yield "type", "must be a name of at most 200 letters, digits and _.:/-", task.type
    if task.queue is not None and not is_queue(task.queue):
        yield "queue", "must be a name of at most 63 letters, digits and _.-", task.queue
    for field, least, most in _RANGES:
        number = getattr(task, field)
        if number is None:
            continue
        kind, noun = (int, "a whole number from ") if field in _WHOLE else ((int, float), "")
        if not isinstance(number, kind) or not least <= number <= most:
            yield field, f"must be {noun}{least} to {most}", number
    yield from _text_faults(task)
    yield from _time_faults(task)
    for field, rule, value in task.retry.faults() if task.retry else ():
        yield f"retry.{field}", rule, value
    for name, text in (task.headers or {}).items():
        if not (_storable(name) and _storable(text)):
            yield "headers", "must be valid Unicode without the NUL character", name


def _text_faults(task: NewTask) -> Iterator[tuple[str, str, Any]]:
    for field, least, most in _LENGTHS:
        text = getattr(task, field)
        if text is None:
            continue
        if not least <= len(text) <= most:
            yield field, f"must be {least} to {most} characters", text
        elif not _storable(text):
            yield field, "must be valid Unicode without the NUL character", text


def _time_faults(task: NewTask) -> Iterator[tuple[str, str, Any]]:
    if task.run_at is not None and task.delay_seconds is not None:
        yield "run_at", "must not be given together with delay_seconds", task.run_at.isoformat()
    for field in ("run_at", "expires_at"):
        moment = getattr(task, field)
        if moment is not None and moment.tzinfo is None:
            yield field, "must have a time zone", moment.isoformat()


def _storable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return "\0" not in text
