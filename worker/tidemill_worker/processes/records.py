"""Log records of a handler process: the worker's own logging prints them, whatever it is."""

import logging
from collections.abc import Callable
from typing import Any

from tidemill.sdk.context import current
from tidemill_worker.processes.wire import Frame

_FRAME_BY_FRAME = logging.Formatter()
_DROPPED = ("args", "exc_info", "msg")


class ToWorker(logging.Handler):
    """Sends each record as a frame."""

    def __init__(self, send: Callable[[Frame], None]) -> None:
        """Send by `send`, which any thread may call."""
        super().__init__()
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        """Send the record with its message formatted and its traceback as text."""
        try:
            self._send({"is": "log", "record": _plain(record)})
        except Exception:  # noqa: BLE001 - what logging does with records that cannot be written
            self.handleError(record)


def follow(levels: dict[str, int], send: Callable[[Frame], None]) -> None:
    """Send this process's log to the worker, as far as the worker's `levels` let it through."""
    logging.getLogger().handlers[:] = [ToWorker(send)]
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def levels() -> dict[str, int]:
    """Return the levels that are set here, by logger; `root` for the root logger."""
    loggers = {"root": logging.getLogger()} | logging.Logger.manager.loggerDict
    return {
        name: logger.level
        for name, logger in loggers.items()
        if isinstance(logger, logging.Logger) and logger.level
    }


def handle(record: dict[str, Any]) -> None:
    """Log a record of a handler process here."""
    logger = logging.getLogger(record["name"])
    if logger.isEnabledFor(record["levelno"]):
        logger.handle(logging.makeLogRecord(record))


def _plain(record: logging.LogRecord) -> dict[str, Any]:
    plain = {name: value for name, value in vars(record).items() if name not in _DROPPED}
    if (context := current.get()) is not None:
        plain = context.described() | plain
    plain["msg"] = record.getMessage()
    if record.exc_info and not record.exc_text:
        plain["exc_text"] = _FRAME_BY_FRAME.formatException(record.exc_info)
    return plain
