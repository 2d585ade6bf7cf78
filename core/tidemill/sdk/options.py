"""What may be given to `App(…)`, `@app.task(…)` and `app.schedule(…)`: kinds first, then ranges.

A value of the wrong kind is a ConfigurationError that names option, rule and value, whatever it is.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

from tidemill.errors import ConfigurationError
from tidemill.retry import RetryPolicy

Rule = tuple[str, Any, bool, str]
"""An option, its value, whether that keeps the rule, and the rule."""


def check(what: str, rules: Iterable[Rule]) -> None:
    """Raise ConfigurationError for the first option of `what` that does not keep its rule."""
    for option, value, kept, rule in rules:
        if not kept:
            raise ConfigurationError(f"{what}: {option} {rule} (got {value!r})")


def matching(option: str, value: Any, pattern: str, *, needed: bool = False) -> Rule:
    """A text that matches `pattern`; None unless `needed`."""
    kept = re.fullmatch(pattern, value) is not None if isinstance(value, str) else value is None
    return option, value, kept and not (needed and value is None), f"must match {pattern}"


def within(option: str, value: Any, least: int, most: int) -> Rule:
    """A whole number in a range, or None."""
    kept = value is None or (_is_number(value, int) and least <= value <= most)
    return option, value, kept, f"must be {least} to {most}, a whole number"


def seconds(option: str, value: Any) -> Rule:
    """A time span above 0, or None."""
    kept = value is None or (_is_number(value, int, float) and 0.001 <= value <= 1e9)  # noqa: PLR2004 - of the database's columns
    return option, value, kept, "must be above 0, a number of seconds such as 300"


def of_kind(option: str, value: Any, kind: type[Any] | tuple[type[Any], ...], noun: str) -> Rule:
    """An instance of `kind`, or None."""
    return option, value, value is None or isinstance(value, kind), f"must be {noun}"


def needs(option: str, value: Any) -> Rule:
    """Anything but None."""
    return option, value, value is not None, "must be given"


def each_of(option: str, value: Any, keeps: Callable[[Any], bool], noun: str) -> Rule:
    """A tuple or list of which each member keeps a rule."""
    members = cast("Sequence[Any]", value)
    kept = isinstance(members, tuple | list) and all(map(keeps, members))
    return option, value, kept, f"must be {noun}"


def exceptions(option: str, value: Any) -> Rule:
    """Classes of exceptions."""
    noun = "a tuple of exception classes, such as (ConnectionError,)"
    return each_of(option, value, _is_exception, noun)


def retry(value: Any) -> Iterable[Rule]:
    """Yield the rules of a retry policy, or None."""
    noun = "a RetryPolicy, which says when to retry; how often is max_retries"
    yield of_kind("retry", value, RetryPolicy, noun)
    for field, rule, found in value.faults() if isinstance(value, RetryPolicy) else ():
        yield f"retry.{field}", found, False, rule


def _is_number(value: Any, *kinds: type[Any]) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)


def _is_exception(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, BaseException)
