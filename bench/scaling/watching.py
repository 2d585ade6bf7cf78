"""What a watch of the API server tells, each event with its time on this machine's clock."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.case import BenchError
from bench.stopping import stop


@dataclass(frozen=True, slots=True)
class Event:
    """An object as it is from `at` on, by `time.monotonic`: the words that were asked for."""

    at: float
    kind: str
    words: tuple[str, ...]

    @property
    def deleted(self) -> bool:
        """Whether the object is gone."""
        return self.kind == "DELETED"


@dataclass(frozen=True, slots=True)
class Access:
    """kubectl, and what it is to speak with."""

    kubectl: str
    kubeconfig: Path
    namespace: str


class Watch:
    """The events since the start, the oldest first. Those of what was there already come first."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self.events: list[Event] = []
        self._changed = asyncio.Event()
        self._ended = False

    def see(self, event: Event) -> None:
        """Take over an event."""
        self.events.append(event)
        self._wake()

    def end(self) -> None:
        """Note that nothing more will come."""
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()  # of the next one: several may wait for each

    async def following(self) -> AsyncGenerator[Event]:
        """Yield all events, those of the past first, and then as they come.

        Raises BenchError when nothing more will come.
        """
        looked = 0
        while True:
            while looked < len(self.events):
                looked += 1
                yield self.events[looked - 1]
            if self._ended:
                raise BenchError("a watch of the API server ended")
            await self._changed.wait()

    async def first(
        self, wanted: Callable[[Event], bool], *, after: float, seconds: float, what: str
    ) -> Event:
        """Return the first wanted event later than `after`. Raises BenchError after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                async for each in self.following():
                    if each.at > after and wanted(each):
                        return each
        except TimeoutError:
            raise BenchError(f"not within {seconds:g} s: {what}") from None
        raise AssertionError("a watch does not end")


@asynccontextmanager
async def watching(access: Access, kind: str, *fields: str) -> AsyncGenerator[Watch]:
    """Yield a watch of all objects of a kind, of which each event tells these fields as words.

    A field is a Go template without its braces; one that is absent, 0 or empty is told as `-`.
    """
    words = " ".join(f'{{{{with .object}}}}{{{{or ({each}) "-"}}}}{{{{end}}}}' for each in fields)
    template = f'{{{{.type}}}} {words}{{{{"\\n"}}}}'
    process = await asyncio.create_subprocess_exec(
        *_command(access, kind, template), stdout=asyncio.subprocess.PIPE
    )
    watch = Watch()
    reading = asyncio.create_task(_read(process, watch), name=f"watch of {kind}")
    try:
        yield watch
    finally:
        await stop(process)
        await reading


def _command(access: Access, kind: str, template: str) -> Sequence[str]:
    return (
        access.kubectl,
        *("--kubeconfig", str(access.kubeconfig), "--namespace", access.namespace),
        *("get", kind, "--watch", "--output-watch-events", f"--output=go-template={template}"),
    )


async def _read(process: asyncio.subprocess.Process, watch: Watch) -> None:
    assert process.stdout is not None  # noqa: S101 - it was asked for
    async for line in process.stdout:
        kind, *words = line.decode().split()
        watch.see(Event(time.monotonic(), kind, tuple(words)))
    watch.end()
