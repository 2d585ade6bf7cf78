"""A bound on the bytes of all bodies in hand together."""

from typing import Self

from tidemill.errors import Overloaded

MOST_BYTES = 256 * 1024 * 1024


class BodyBudget:
    """Bytes of request bodies that this process holds at once; more is refused, never queued."""

    def __init__(self, most: int | None = None) -> None:
        """Allow `most` bytes."""
        self.free = MOST_BYTES if most is None else most

    def holding(self, size: int) -> "Held":
        """Hold `size` bytes in a with block. Its start raises Overloaded when they are not free."""
        return Held(self, size)

    def take(self, size: int) -> None:
        """Hold `size` bytes, or fewer than none to give them back. Raises Overloaded."""
        if size > self.free:
            raise Overloaded("too many large requests at once")
        self.free -= size


class Held:
    """Some bytes of a budget, as long as a with block runs. A generator would cost thrice this."""

    __slots__ = ("_budget", "_size")

    def __init__(self, budget: BodyBudget, size: int) -> None:
        """Hold nothing yet."""
        self._budget, self._size = budget, size

    def __enter__(self) -> Self:
        """Take the bytes. Raises Overloaded."""
        self._budget.take(self._size)
        return self

    def __exit__(self, *_: object) -> None:
        """Give them back."""
        self._budget.take(-self._size)

    def grow(self, size: int) -> None:
        """Hold `size` bytes from now on, unless it is more already. Raises Overloaded."""
        if size > self._size:
            self._budget.take(size - self._size)
            self._size = size
