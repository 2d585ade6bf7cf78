"""Let an app enqueue elsewhere for a while."""

from collections.abc import Generator
from contextlib import contextmanager

from tidemill.app import App
from tidemill.client import Producer


@contextmanager
def client_of(app: App, client: Producer) -> Generator[None]:
    """Let `app` enqueue through `client` inside the block."""
    former = app.use(client)
    try:
        yield
    finally:
        app.use(former)
