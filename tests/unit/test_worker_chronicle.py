"""What the log says of attempts."""

import json
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.support.worker import claimed, eventually, run_of
from tidemill import logs
from tidemill.models import Finish
from tidemill.states import Outcome
from tidemill_worker.chronicle import LINES_A_SECOND, Chronicle
from tidemill_worker.run import Run


def ends(count: int, outcome: Outcome = Outcome.SUCCEEDED) -> list[tuple[Run, Finish]]:
    runs = [run_of(claimed("send")) for _ in range(count)]
    return [(run, Finish(lease=run.task.lease, outcome=outcome)) for run in runs]


def failed(outcome: Outcome, traceback: str) -> list[tuple[Run, Finish]]:
    error = {"type": "ValueError", "message": "no", "traceback": traceback}
    return [(run, replace(finish, error=error)) for run, finish in ends(1, outcome)]


def told(chronicle: Chronicle, batch: list[tuple[Run, Finish]]) -> None:
    chronicle.tell(batch, Counter(finish.outcome for _, finish in batch))


Lines = Callable[[], list[logging.LogRecord]]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    caplog.set_level(logging.INFO, logger="tidemill.worker")
    return lambda: caplog.records


async def test_a_few_attempts_have_a_line_each(lines: Lines) -> None:
    batch = ends(2)
    error = {"type": "ValueError", "message": "no", "traceback": ""}
    batch[1] = (
        batch[1][0],
        Finish(
            lease=batch[1][0].task.lease,
            outcome=Outcome.RETRY,
            run_seconds=1.23456,
            delay_seconds=2.04,
            error=error,
        ),
    )
    told(Chronicle(), batch)
    assert [line.getMessage() for line in lines()] == [
        "task succeeded",
        "task failed and will run again",
    ]
    fields = vars(lines()[1])
    assert fields["task"] == str(batch[1][0].task.id)
    assert (fields["type"], fields["queue"], fields["attempt"]) == ("send", "default", 1)
    assert (fields["seconds"], fields["again_in"]) == (1.235, 2.0)
    assert fields["error"] == "ValueError: no"


async def test_many_attempts_have_one_line_a_second(lines: Lines) -> None:
    chronicle = Chronicle()
    told(chronicle, ends(LINES_A_SECOND))
    assert len(lines()) == LINES_A_SECOND
    told(chronicle, ends(500))
    told(chronicle, ends(3, Outcome.RETRY))
    assert len(lines()) == LINES_A_SECOND
    await eventually(lambda: len(lines()) > LINES_A_SECOND)
    summary, example = lines()[LINES_A_SECOND:]
    assert summary.getMessage().endswith(" s: 500 succeeded, 3 failed and will run again")
    assert example.getMessage() == "for example: task failed and will run again"
    told(chronicle, ends(1))
    assert lines()[-1].getMessage() == "task succeeded"


async def test_nothing_is_left_untold_at_the_end(lines: Lines) -> None:
    chronicle = Chronicle()
    told(chronicle, ends(500))
    assert not lines()
    chronicle.sum_up()
    chronicle.sum_up()
    assert [line.getMessage()[-13:] for line in lines()] == ["500 succeeded"]


async def test_a_dead_letter_is_a_warning(lines: Lines) -> None:
    told(Chronicle(), ends(1, Outcome.FAILED))
    assert lines()[0].levelno == logging.WARNING


@pytest.mark.parametrize("outcome", [Outcome.RETRY, Outcome.FAILED])
async def test_the_line_of_a_failed_attempt_has_the_traceback(
    lines: Lines, outcome: Outcome
) -> None:
    told(Chronicle(), failed(outcome, "Traceback …\nValueError: no\n"))
    (line,) = lines()
    as_text = logs.TextFormatter(colour=False).format(line).splitlines()
    assert as_text[1:] == ["Traceback …", "ValueError: no"]
    as_json = json.loads(logs.JsonFormatter("worker").format(line))
    assert as_json["traceback"] == "Traceback …\nValueError: no"
    assert as_json["error"] == "ValueError: no"


async def test_an_attempt_that_has_no_traceback_has_one_line(lines: Lines) -> None:
    told(Chronicle(), failed(Outcome.RETRY, ""))
    assert "traceback" not in json.loads(logs.JsonFormatter("worker").format(lines()[0]))


async def test_of_many_failures_one_is_shown_with_its_traceback(lines: Lines) -> None:
    chronicle = Chronicle()
    first = failed(Outcome.FAILED, "Traceback …\nValueError: no")
    another = failed(Outcome.FAILED, "Traceback …\nValueError: another")
    told(chronicle, ends(500) + first + another)
    chronicle.sum_up()
    summary, example = lines()
    assert summary.levelno == example.levelno == logging.WARNING
    assert summary.getMessage().endswith(" s: 500 succeeded, 2 failed for good")
    assert example.getMessage() == "for example: task failed for good"
    assert example.exc_text == "Traceback …\nValueError: no"
    told(chronicle, ends(1))
    assert len(lines()) == 3


async def test_where_only_warnings_are_logged_dead_letters_are(
    lines: Lines, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="tidemill.worker")
    told(Chronicle(), ends(500) + failed(Outcome.RETRY, "x") + failed(Outcome.FAILED, "y"))
    assert [(line.getMessage(), line.exc_text) for line in lines()] == [
        ("task failed for good", "y")
    ]
