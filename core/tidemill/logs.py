"""Logging for a process of ours: readable lines on a terminal, one JSON object a line elsewhere.

Called by command-line entry points only; library code just logs. Fields of `extra={"task": …}` are
appended to readable lines and become members of JSON ones. Whatever a running handler logs, and
what the libraries that it calls log, carries its task; secrets are taken out of every line. A
process that embeds a worker keeps its own logging, and may add `TaskFields` and `Redacting` to it.
"""

import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

from tidemill.redaction import MASK, hide, is_secret_name, redact, redact_value
from tidemill.sdk.context import current
from tidemill.settings import Settings
from tidemill.unheeded import unheeded

log = logging.getLogger("tidemill")

_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_DIM, _PLAINLY = "\033[2m", "\033[0m"
_LEVEL_COLOURS = {"WARNING": "\033[33m", "ERROR": "\033[31m", "CRITICAL": "\033[31;1m"}


def configure(settings: Settings, *, component: str, stream: TextIO | None = None) -> None:
    """Send this process's log to `stream` (default: standard error) as `settings` say.

    Begins with a warning for each variable that looks like a setting and is none.
    """
    hide(settings)
    target: TextIO = stream or sys.stderr
    terminal = target.isatty()
    as_text = settings.log_format == "text" or (settings.log_format == "auto" and terminal)
    handler = logging.StreamHandler(target)
    handler.addFilter(TaskFields())
    handler.setFormatter(TextFormatter(colour=terminal) if as_text else JsonFormatter(component))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    for chatty in ("aiohttp.access", "asyncio", "urllib3", "kubernetes"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    for sentence in unheeded(os.environ):
        log.warning(sentence)


class TaskFields(logging.Filter):
    """Adds the task that runs here to a record: task, type, queue, attempt and trace_id."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add what the record does not have already."""
        context = current.get()
        if context is not None and "task" not in vars(record):
            for name, value in context.described().items():
                vars(record).setdefault(name, value)
        return True


class Redacting(logging.Formatter):
    """Takes secrets out of what another formatter makes: for a process with its own logging."""

    def __init__(self, inner: logging.Formatter) -> None:
        """Format with `inner`."""
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without secrets."""
        return redact(self._inner.format(record))


class TextFormatter(logging.Formatter):
    """`16:04:05.123 info    message  key=value …`, tracebacks below."""

    def __init__(self, *, colour: bool) -> None:
        """Colour warnings and errors, and dim what stands behind the message, on a terminal."""
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        """Return the line (and the traceback below it)."""
        moment = datetime.fromtimestamp(record.created).astimezone()
        level = f"{record.levelname.lower():<7}"
        fields = "".join(f"  {key}={value}" for key, value in _readable(record).items())
        if self._colour and record.levelname in _LEVEL_COLOURS:
            level = f"{_LEVEL_COLOURS[record.levelname]}{level}{_PLAINLY}"
        if self._colour and fields:
            fields = f"{_DIM}{fields}{_PLAINLY}"
        clock = f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03d}"
        line = f"{clock} {level} {record.getMessage()}{fields}"
        if raised := self._traceback(record):
            line += "\n" + raised
        return redact(line)

    def _traceback(self, record: logging.LogRecord) -> str:
        return self.formatException(record.exc_info) if record.exc_info else record.exc_text or ""


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
            "message": redact(record.getMessage()),
        }
        for name, value in _extras(record).items():
            entry[f"{name}_" if name in entry else name] = redact_value(value, name)
        if record.exc_info:
            entry["traceback"] = redact(self.formatException(record.exc_info))
        elif record.exc_text:
            entry["traceback"] = redact(record.exc_text)
        return json.dumps(entry, default=_as_text, ensure_ascii=False)


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    return {key: value for key, value in vars(record).items() if key not in _PLAIN}


def _readable(record: logging.LogRecord) -> dict[str, Any]:
    """Return the fields for people: a trace that is the task's own tells them nothing."""
    shown = {
        key: MASK if isinstance(value, str) and value and is_secret_name(key) else value
        for key, value in _extras(record).items()
    }
    if str(shown.get("task", "")).replace("-", "") == shown.get("trace_id"):
        del shown["trace_id"]
    return shown


def _as_text(value: Any) -> str:
    return redact(str(value))
