"""Lines of a running task: which task they are of, for machines and for people."""

import io
import json
import logging
import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from tidemill import Context, logs
from tidemill.sdk.context import current
from tidemill.settings import Settings

ID = UUID("0193f0a2-7c1e-7000-8000-0123456789ab")
GIVEN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def running() -> Iterator[Context]:
    """A task that runs here."""
    context = Context(id=ID, type="send", queue="mail", attempt=2, headers={"traceparent": GIVEN})
    token = current.set(context)
    yield context
    current.reset(token)


@pytest.fixture
def stream(root: logging.Logger) -> io.StringIO:
    """What a process that logs for machines writes."""
    assert root.name == "root"
    stream = io.StringIO()
    logs.configure(Settings(log_format="json"), component="worker", stream=stream)
    return stream


def entry(stream: io.StringIO) -> dict[str, Any]:
    (line,) = stream.getvalue().splitlines()
    read: dict[str, Any] = json.loads(line)
    return read


TASK = {
    "task": str(ID),
    "type": "send",
    "queue": "mail",
    "attempt": 2,
    "trace_id": "0af7651916cd43dd8448eb211c80319c",
}


def test_whatever_logs_in_a_running_task_its_line_carries_the_task(
    stream: io.StringIO, running: Context
) -> None:
    assert running.id == ID
    logging.getLogger("some.library").warning("slow", extra={"ms": 5})
    line = entry(stream)
    assert line.items() >= (TASK | {"ms": 5, "message": "slow", "logger": "some.library"}).items()


def test_a_line_of_the_context_s_logger_has_the_same_fields(
    stream: io.StringIO, running: Context
) -> None:
    running.logger.info("hello", extra={"n": 1})
    assert entry(stream).items() >= (TASK | {"n": 1}).items()


def test_a_line_about_another_task_keeps_that_one_s_fields(
    stream: io.StringIO, running: Context
) -> None:
    assert running.id == ID
    logging.getLogger("x").info("about", extra={"task": "other", "type": "u"})
    line = entry(stream)
    assert (line["task"], line["type"]) == ("other", "u")
    assert "trace_id" not in line


def test_a_line_of_no_task_names_none(stream: io.StringIO) -> None:
    logging.getLogger("x").info("alone")
    assert not entry(stream).keys() & TASK.keys()


def test_secrets_are_in_no_part_of_a_line(stream: io.StringIO) -> None:
    raised = ValueError("token=s3cret")
    logging.getLogger("x").error(
        "at http://u:s3cret@h",
        extra={"url": "http://u:s3cret@h", "api_key": "s3cret"},
        exc_info=raised,
    )
    assert "s3cret" not in stream.getvalue()
    assert entry(stream)["api_key"] == "***"
    assert "ValueError" in entry(stream)["traceback"]


def test_a_field_of_a_taken_name_is_kept_beside_it(stream: io.StringIO) -> None:
    logging.getLogger("x").info("m", extra={"time": "noon", "level": 3})
    line = entry(stream)
    assert (line["level"], line["level_"], line["time_"]) == ("info", 3, "noon")


def record_from_elsewhere() -> logging.LogRecord:
    """A record that came from another process: its traceback is text."""
    record = logging.LogRecord("child", logging.ERROR, "", 0, "failed", None, None)
    record.exc_text = "Traceback\nValueError: token=s3cret"
    return record


def test_a_traceback_that_came_as_text_is_shown(stream: io.StringIO, root: logging.Logger) -> None:
    root.handle(record_from_elsewhere())
    assert entry(stream)["traceback"] == "Traceback\nValueError: token=***"
    text = logs.TextFormatter(colour=False).format(record_from_elsewhere())
    assert text.endswith("\nTraceback\nValueError: token=***")


def test_people_get_a_readable_line(root: logging.Logger, running: Context) -> None:
    assert root.name == "root"
    terminal = Terminal()
    logs.configure(Settings(), component="worker", stream=terminal)
    logging.getLogger("x").warning("careful", extra={"token": "s3cret", "max_tokens": 1})
    running.headers.clear()  # a trace of its own: the task's id says it already
    logging.getLogger("x").info("plain")
    first, second = re.sub(r"\033\[[\d;]*m", "", terminal.getvalue()).splitlines()
    assert re.fullmatch(
        rf"\d\d:\d\d:\d\d\.\d{{3}} warning careful  token=\*\*\*  max_tokens=1  task={ID}"
        r"  type=send  queue=mail  attempt=2  trace_id=0af7651916cd43dd8448eb211c80319c",
        first,
    )
    assert second.endswith(f"info    plain  task={ID}  type=send  queue=mail  attempt=2")
    assert "\033[33mwarning" in terminal.getvalue()


def test_a_process_with_its_own_logging_can_have_the_fields_and_the_redaction(
    running: Context,
) -> None:
    assert running.id == ID
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(logs.TaskFields())
    handler.setFormatter(logs.Redacting(logging.Formatter("%(type)s %(message)s")))
    record = logging.LogRecord("x", logging.INFO, "", 0, "password=%s", ("s3cret",), None)
    handler.handle(record)
    assert stream.getvalue() == "send password=***\n"
