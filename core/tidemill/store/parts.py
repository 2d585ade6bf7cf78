"""Batches in parts: what is checked waits in few bytes, and goes to the database piece by piece."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from tidemill.errors import InvalidTask, TidemillError

MOST_TASKS: Final = 1000
MOST_BYTES: Final = 1024 * 1024
"""What a part holds, about: of a batch no more than this is in the hands of one statement."""

_TEXTS: Final = (1, 13)  # payloads and headers, among the parameters of enqueue.sql
_PLACE: Final = re.compile(r"tasks\[(\d+)\]")


class Part:
    """Some tasks as `enqueue.sql` takes them, with their long texts as UTF-8.

    As a `str` a text takes up to four times that: one emoji is enough.
    """

    __slots__ = ("_arguments", "size", "types")

    def __init__(self, arguments: Sequence[Any]) -> None:
        """Keep what `enqueue_arguments` returns."""
        self.types: list[str] = arguments[0]
        self._arguments = list(arguments)
        self.size = 0
        for place in _TEXTS:
            texts = arguments[place] or ()
            packed = [None if text is None else text.encode() for text in texts]
            self._arguments[place] = packed or None
            self.size += sum(len(each) for each in packed if each is not None)

    @property
    def arguments(self) -> list[Any]:
        """The parameters."""
        given = list(self._arguments)
        for place in _TEXTS:
            if given[place] is not None:
                given[place] = [None if text is None else text.decode() for text in given[place]]
        return given


def told(error: TidemillError, words: Callable[[str], str]) -> None:
    """Change the places that `error` names, in faults or its message, as `words` says."""
    if isinstance(error, InvalidTask):
        error.faults = tuple(replace(each, field=words(each.field)) for each in error.faults)
        error.args = ("; ".join(map(str, error.faults)),)
    else:
        error.args = tuple(words(each) if isinstance(each, str) else each for each in error.args)


def moved(text: str, by: int) -> str:
    """Return `text` about `tasks[3]` as it is where `by` tasks came before."""
    found = _PLACE.match(text)
    return text if found is None else f"tasks[{int(found[1]) + by}]{text[found.end() :]}"


def place_of(text: str) -> int | None:
    """Return the place of the task that `text` begins with, if it does."""
    found = _PLACE.match(text)
    return None if found is None else int(found[1])
