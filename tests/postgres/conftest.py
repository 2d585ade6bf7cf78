"""Fixtures of the tests on a real Postgres."""

from collections.abc import AsyncIterator

import pytest

from tidemill import App
from tidemill.client import Client
from tidemill.settings import Settings


@pytest.fixture
def app() -> App:
    """An app for the test's own tasks."""
    return App()


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[Client]:
    """A producer on this test's database; it wakes workers as producers do."""
    async with Client.of(settings) as producer:
        yield producer
