"""What a handler raised, as text: the user's frames, without those of the machinery around them."""

from collections.abc import Iterator
from pathlib import Path
from traceback import StackSummary, TracebackException

OURS = str(Path(__file__).parent)


def traceback_of(error: BaseException) -> str:
    """Return the traceback of `error` and of what caused it; empty when it was never raised."""
    if error.__traceback__ is None:
        return ""
    shown = TracebackException(type(error), error, error.__traceback__, compact=True)
    for each in _chained(shown):
        each.stack = _trimmed(each.stack)
    return "".join(shown.format())


def message_of(error: BaseException) -> str:
    """Return what `error` says, whatever its `__str__` does."""
    try:
        return str(error) or type(error).__name__
    except Exception as failure:  # noqa: BLE001 - the user's code; the attempt must be recorded
        return f"{type(error).__name__} (its message raised {type(failure).__name__})"


def _chained(shown: TracebackException) -> Iterator[TracebackException]:
    """Go through an exception, its causes and contexts, and the members of groups."""
    open_ends: list[TracebackException | None] = [shown]
    while open_ends:
        if (each := open_ends.pop()) is not None:
            yield each
            open_ends += [each.__cause__, each.__context__, *(each.exceptions or ())]


def _trimmed(stack: StackSummary) -> StackSummary:
    """Return the frames that are not ours; all where there is no other: then the fault is ours."""
    return StackSummary.from_list(
        [frame for frame in stack if not frame.filename.startswith(OURS)] or stack
    )
