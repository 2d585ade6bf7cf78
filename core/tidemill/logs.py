"""Logging for a process of ours: readable lines on a terminal, one JSON object a line elsewhere.

Called by command-line entry points only; library code just logs. Fields of `extra={"task": …}` are
appended to readable lines and become members of JSON ones.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

from tidemill.settings import Settings

_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_LEVEL_COLOURS = {"WARNING": "\033[33m", "ERROR": "\033[31m", "CRITICAL": "\033[31;1m"}


def configure(settings: Settings, *, component: str, stream: TextIO | None = None) -> None:
    """Send this process's log to `stream` (default: standard error) as `settings` say."""
    target: TextIO = stream or sys.stderr
    terminal = target.isatty()
    as_text = settings.log_format == "text" or (settings.log_format == "auto" and terminal)
    handler = logging.StreamHandler(target)
    handler.setFormatter(TextFormatter(colour=terminal) if as_text else JsonFormatter(component))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    for chatty in ("aiohttp.access", "asyncio", "urllib3", "kubernetes"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


class TextFormatter(logging.Formatter):
    """`16:04:05.123 info    worker: message  key=value …`."""

    def __init__(self, *, colour: bool) -> None:
        """Colour warnings and errors where a terminal shows them."""
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        """Return the line (and the traceback below it)."""
        moment = datetime.fromtimestamp(record.created).astimezone()
        level = f"{record.levelname.lower():<7}"
        if self._colour and record.levelname in _LEVEL_COLOURS:
            level = f"{_LEVEL_COLOURS[record.levelname]}{level}\033[0m"
        fields = "".join(f"  {key}={value}" for key, value in _extras(record).items())
        clock = f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03d}"
        line = f"{clock} {level} {record.getMessage()}{fields}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


class JsonFormatter(logging.Formatter):
    """One object a line: time (UTC), level, component, logger, message, and the extra fields."""

    def __init__(self, component: str) -> None:
        """Name the component in every line."""
        super().__init__()
        self._component = component

    def format(self, record: logging.LogRecord) -> str:
        """Return the object as one line."""
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "component": self._component,
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry.update(_extras(record))
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str, ensure_ascii=False)


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    return {key: value for key, value in vars(record).items() if key not in _PLAIN}
