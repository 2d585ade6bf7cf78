"""A bug in a part of the worker must not leave a worker that holds leases and does nothing."""

import pytest

from tests.support.worker import eventually
from tidemill import App, NewTask
from tidemill.client import Client
from tidemill.settings import Settings
from tidemill_worker import Worker


@pytest.mark.parametrize("part", ["dispatcher._limits", "finisher._settle"])
async def test_a_part_that_fails_is_told(
    settings: Settings,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    part: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = App()

    @app.task
    async def task() -> None: ...

    def fail(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("tidemill_worker.drain.FLUSH_SECONDS", 0.2)
    async with Worker(app, settings=settings) as worker:
        assert worker.ready
        owner = getattr(worker._parts, part.partition(".")[0])
        monkeypatch.setattr(owner, part.partition(".")[2], fail)
        await client.enqueue(NewTask(type="task"))
        await eventually(worker.failed.is_set)
        assert not worker.ready
    assert "failed: the worker ends" in caplog.text
