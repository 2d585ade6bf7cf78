"""What people and machines read: errors, logs, and the names of states."""

import io
import json
import logging

import pytest

from tidemill import errors, logs
from tidemill.errors import Fault, InvalidTask, TidemillError
from tidemill.settings import Settings
from tidemill.states import Event, Outcome, Status
from tidemill.store import history


@pytest.fixture
def stream() -> io.StringIO:
    """A stream for the log."""
    return io.StringIO()


def test_a_fault_reads_as_a_sentence_and_is_never_endless() -> None:
    fault = Fault("tasks[3].name", "must be short", "x" * 1000)
    assert str(fault).startswith("tasks[3].name: must be short (got 'xxx")
    assert len(str(fault)) < 150
    assert str(Fault("a", "must be given")) == "a: must be given"
    both = InvalidTask(Fault("a", "one"), Fault("b", "two"))
    assert str(both) == "a: one; b: two"
    assert [each.field for each in both.faults] == ["a", "b"]


def test_all_errors_are_of_one_tree_and_in_its_picture() -> None:
    ours = [
        each
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, Exception)
    ]
    assert len(ours) > 10
    for each in ours:
        assert issubclass(each, TidemillError)
        assert each.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize("error", [errors.QueueFull, errors.Overloaded])
def test_come_back_later_says_when(error: type[errors.QueueFull]) -> None:
    assert error("full").retry_after == 1.0
    assert error("full", retry_after=5).retry_after == 5


def test_final_states_are_the_last_three() -> None:
    assert [each for each in Status if each.final] == [
        Status.SUCCEEDED,
        Status.FAILED,
        Status.CANCELLED,
    ]


def test_every_outcome_has_its_event_and_every_event_is_told_by_something() -> None:
    told = {event for event, _ in history._ENDS.values()}
    silent = {Outcome.MOVED, Outcome.REPRIORITISED}  # the task's status is what it was
    assert set(Outcome) - silent == set(history._ENDS)
    born = {Event.TASK_QUEUED, Event.TASK_SCHEDULED, Event.TASK_STARTED}
    assert told | born == set(Event)


def log_one(settings: Settings, stream: io.StringIO) -> str:
    logs.configure(settings, component="worker", stream=stream)
    try:
        int("tricky \n\0 line")
    except ValueError:
        logging.getLogger("tidemill.x").exception("task %s", "t1", extra={"queue": "q", "odd": {1}})
    return stream.getvalue()


def test_machines_get_an_object_a_line(stream: io.StringIO) -> None:
    entry = json.loads(log_one(Settings(log_format="json"), stream))
    assert {name: entry[name] for name in ("level", "component", "logger", "message", "queue")} == {
        "level": "error",
        "component": "worker",
        "logger": "tidemill.x",
        "message": "task t1",
        "queue": "q",
    }
    assert entry["time"].endswith("+00:00")
    assert "ValueError: invalid literal" in entry["traceback"]
    assert stream.getvalue().count("\n") == 1


def test_people_get_a_line_with_the_fields_behind(stream: io.StringIO) -> None:
    first = log_one(Settings(log_format="text"), stream).splitlines()[0]
    assert first.endswith("error   task t1  queue=q  odd={1}")
    assert "\033" not in first


def test_what_is_no_terminal_is_a_machine(stream: io.StringIO) -> None:
    assert json.loads(log_one(Settings(log_format="auto"), stream))["message"] == "task t1"


def test_levels_hold_and_configuring_twice_does_not_double(stream: io.StringIO) -> None:
    for _ in range(2):
        logs.configure(
            Settings(log_level="warning", log_format="text"), component="api", stream=stream
        )
    logging.getLogger("a").info("quiet")
    logging.getLogger("a").warning("loud")
    logging.getLogger("aiohttp.access").info("chatty")
    assert stream.getvalue().count("\n") == 1
