"""The demo app: what its readers are told it does."""

import random
from uuid import uuid4

import pytest

from examples import demo
from tidemill.errors import InvalidTask
from tidemill.sdk.context import Context


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMO_EMAIL_SECONDS", "0")
    monkeypatch.setenv("DEMO_QUERY_SECONDS", "0")


def context() -> Context:
    return Context(id=uuid4(), type="run_query", timeout_seconds=0.0)


async def test_an_email_needs_to_and_subject() -> None:
    codec = demo.send_email.codec
    assert codec.schema["required"] == ["to", "subject"]
    assert codec.decode({"to": "a", "subject": "b", "campaign": 7})["campaign"] == 7
    with pytest.raises(InvalidTask, match=r"payload\.subject"):
        codec.decode({"to": "a"})


async def test_a_query_needs_its_query_and_has_five_seconds() -> None:
    assert demo.run_query.codec.schema["required"] == ["query"]
    assert demo.run_query.type().timeout_seconds == 5


async def test_shares_come_from_the_environment_at_each_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DEMO_FAILURE_RATE", "0")
    monkeypatch.setenv("DEMO_TIMEOUT_RATE", "0")
    assert (await demo.send_email("a", "b"))["sent_to"] == "a"
    assert "rows" in await demo.run_query(context(), "SELECT 1")
    monkeypatch.setenv("DEMO_FAILURE_RATE", "1")
    with pytest.raises(ConnectionError):
        await demo.send_email("a", "b")
    with pytest.raises(RuntimeError):
        await demo.run_query(context(), "SELECT 1")


async def test_one_in_five_fails_by_default() -> None:
    random.seed(4)
    failed = 0
    for _ in range(500):
        try:
            await demo.send_email("a", "b")
        except ConnectionError:
            failed += 1
    assert 75 < failed < 125
