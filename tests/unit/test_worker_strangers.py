"""Tasks of types that a worker lacks: back after growing pauses, and dead after an hour."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import pytest

from tests.support.worker import Bench, claimed
from tidemill import App
from tidemill.errors import DatabaseUnavailable
from tidemill.states import Outcome
from tidemill.store.strangers import PATIENCE_SECONDS, Returns, judged
from tidemill_worker import strangers
from tidemill_worker.strangers import Strangers


async def test_an_unknown_type_goes_back_uncharged_and_says_why() -> None:
    finish = await Bench(App()).run("elsewhere", created_at=datetime.now(UTC))
    assert (finish.outcome, finish.run_seconds) == (Outcome.SNOOZED, 0.0)
    assert finish.error == {
        "type": "UnknownType",
        "message": "type: has no handler in this worker (got 'elsewhere')",
        "traceback": "",
    }


def test_each_return_waits_longer_with_jitter_and_never_more_than_half_a_minute() -> None:
    most = [2, 4, 8, 16, 30, 30]
    for times, longest in enumerate(most):
        delays = [judged(claimed(), Returns(times, 10)).delay_seconds or 0 for _ in range(50)]
        assert longest / 2 <= min(delays) < max(delays) <= longest
    assert judged(claimed(), Returns(10**6, 10)).delay_seconds is not None


async def test_after_an_hour_the_task_is_a_dead_letter() -> None:
    assert judged(claimed(), Returns(99, PATIENCE_SECONDS - 1)).outcome is Outcome.SNOOZED
    bench = Bench(App(), returned=Returns(100, PATIENCE_SECONDS))
    finish = await bench.run("elsewhere", created_at=datetime.now(UTC))
    assert (finish.outcome, finish.delay_seconds) == (Outcome.FAILED, None)


@pytest.mark.parametrize("error", [DatabaseUnavailable("away"), TimeoutError()])
async def test_without_its_history_a_task_goes_back_all_the_same(error: Exception) -> None:
    async def away(ids: Sequence[UUID], since: datetime) -> dict[UUID, Returns]:
        assert ids
        assert since.tzinfo
        raise error

    finish = await Strangers(away).end(claimed(created_at=datetime.now(UTC)))
    assert finish.outcome is Outcome.SNOOZED
    assert (finish.delay_seconds or 0) <= 2


async def test_the_log_names_a_missing_type_once_a_minute(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(ids: Sequence[UUID], since: datetime) -> dict[UUID, Returns]:
        return dict.fromkeys(ids, Returns(seconds=since.second / 60))

    ends = Strangers(nothing)
    with caplog.at_level(logging.WARNING, logger="tidemill.worker"):
        for kind in ("a", "a", "b"):
            await ends.end(claimed(kind))
        assert len(caplog.records) == 2
        monkeypatch.setattr(strangers, "SAY_SECONDS", 0.0)
        await ends.end(claimed("a"))
    assert len(caplog.records) == 3


async def test_the_log_names_the_type_that_was_meant(caplog: pytest.LogCaptureFixture) -> None:
    async def nothing(ids: Sequence[UUID], since: datetime) -> dict[UUID, Returns]:
        return dict.fromkeys(ids, Returns(seconds=since.second / 60))

    with caplog.at_level(logging.WARNING, logger="tidemill.worker"):
        await Strangers(nothing, {"send_email": None}).end(claimed("sned_email"))
    assert caplog.messages[0].startswith(
        "no handler for type sned_email in this app (did you mean send_email?): "
    )
