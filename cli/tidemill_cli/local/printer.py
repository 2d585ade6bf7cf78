"""What `tidemill up` writes: each process's lines behind its name, never mixed within a line."""

import contextlib
import logging
import sys
from collections.abc import Callable, Generator
from typing import TextIO

_COLOURS = (36, 33, 32, 35, 34, 31)
_WIDTH = 9


class Printer:
    """Writes whole lines. When nobody reads any more, it calls `on_closed` and stays silent."""

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        coloured: bool | None = None,
        on_closed: Callable[[], None] = lambda: None,
    ) -> None:
        """Write to `stream` (standard output); colours by default on a terminal only."""
        self._stream = stream or sys.stdout
        self._coloured = self._stream.isatty() if coloured is None else coloured
        self._names: list[str] = []
        self._closed = False
        self.on_closed = on_closed

    def line(self, name: str, text: str) -> None:
        """Write `text` behind `name`."""
        prefix = f"{name:<{_WIDTH}} |"
        self._write(f"{self._painted(name, prefix)} {text.rstrip()}\n")

    def plain(self, text: str) -> None:
        """Write `text` as it is."""
        self._write(f"{text}\n")

    def _painted(self, name: str, prefix: str) -> str:
        if name not in self._names:
            self._names.append(name)
        if not self._coloured:
            return prefix
        colour = _COLOURS[self._names.index(name) % len(_COLOURS)]
        return f"\x1b[{colour}m{prefix}\x1b[0m"

    def _write(self, text: str) -> None:
        if self._closed:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:  # the reader went away: `tidemill up | head`
            self._closed = True
            self.on_closed()


class Lines:
    """Cuts a stream of bytes into lines, whatever their length."""

    def __init__(self, emit: Callable[[str], None]) -> None:
        """Give each line to `emit`."""
        self._emit = emit
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        for line in whole:
            self._emit(line.decode(errors="replace"))

    def close(self) -> None:
        """Give what has no end of line."""
        if self._rest:
            self._emit(self._rest.decode(errors="replace"))
            self._rest = b""


class _Records(logging.Handler):
    """Prints what our own parts log, as everything else of `tidemill up`."""

    def __init__(self, printer: Printer) -> None:
        super().__init__(logging.WARNING)
        self._printer = printer

    def emit(self, record: logging.LogRecord) -> None:
        for line in self.format(record).splitlines():
            self._printer.line("up", line)


@contextlib.contextmanager
def printing_logs(printer: Printer) -> Generator[None]:
    """Print warnings and errors that are logged in this process."""
    handler = _Records(printer)
    logger = logging.getLogger("tidemill")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
