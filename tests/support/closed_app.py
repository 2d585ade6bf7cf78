"""An app that no worker can run: what its task needs does not open."""

from collections.abc import Iterator
from typing import Annotated

from tidemill import App, Resource

app = App()


def drawer() -> Iterator[object]:
    raise OSError("stuck")
    yield


@app.task(isolation="process")
def count(till: Annotated[object, Resource(drawer)]) -> None:
    del till
