"""/metrics as `promtool check metrics` judges it."""

import aiohttp

from tests.support.http import ask, enqueue
from tests.support.metric_lint import faults
from tests.support.seeds import seed
from tidemill.store import Store


async def test_the_metrics_of_a_busy_server_have_no_fault(
    http: aiohttp.ClientSession, store: Store
) -> None:
    await seed(store)
    for answer in (
        await enqueue(http),
        await enqueue(http, type="a/b:c.d", queue="e.f"),
        await enqueue(http, type='no "such" type'),
        await ask(http, "GET", "/nothing"),
        await ask(http, "GET", "/api/stats"),
    ):
        assert answer.status < 500
    text = (await ask(http, "GET", "/metrics")).body.decode()
    assert "tidemill_queue_ready" in text
    assert faults(text) == []
