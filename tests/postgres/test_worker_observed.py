"""What a real worker process says: log lines that carry their task, no secrets, all its metrics."""

import asyncio
import json
import re
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.metrics import rows
from tests.support.waiting import until
from tests.support.worker import eventually_async, finished
from tests.support.worker_process import WorkerProcess, worker_process
from tidemill.client import Client
from tidemill.metrics import REGISTRY
from tidemill.models import NewTask, Task
from tidemill.settings import Settings
from tidemill.store import Store
from tidemill_cli.local.postgres import free_port

GIVEN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE = "0af7651916cd43dd8448eb211c80319c"
SECRET = "a-secret-of-the-shop"


@dataclass
class Observed:
    """A worker process, and a way to let it run something."""

    process: WorkerProcess
    client: Client
    store: Store
    port: int

    async def run(self, kind: str, **task: Any) -> Task:
        stored = await self.client.enqueue(NewTask(type=kind, **task))
        return await finished(self.store, stored.id, seconds=60)

    def lines(self, **fields: str) -> list[dict[str, Any]]:
        return [line for line in entries(self.process.log()) if line.items() >= fields.items()]

    def line(self, **fields: str) -> dict[str, Any]:
        """Return the line with these fields, once it is there."""
        until(lambda: bool(self.lines(**fields)), seconds=60, what=f"a line with {fields}")
        return self.lines(**fields)[0]

    async def metrics(self) -> str:
        def read() -> str:
            address = f"http://127.0.0.1:{self.port}/metrics"
            with urllib.request.urlopen(address, timeout=30) as answer:
                text: bytes = answer.read()
            return text.decode()

        return await asyncio.to_thread(read)


def entries(log: str) -> Iterator[dict[str, Any]]:
    whole = log[: log.rfind("\n") + 1]
    return (json.loads(line) for line in whole.splitlines() if line.startswith("{"))


@pytest.fixture
async def observed(
    settings: Settings,
    store: Store,
    client: Client,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> AsyncIterator[Observed]:
    """A worker process; its arguments may be the fixture's parameter."""
    port = free_port()
    chosen = replace(settings, app="tests.support.observed_app:app")
    environ = {"TIDEMILL_PROBE_PORT": str(port), "SHOP_SECRET": SECRET}
    arguments = getattr(request, "param", ())
    with worker_process(chosen, tmp_path / "trace", *arguments, **environ) as process:
        yield Observed(process, client, store, port)


async def test_every_line_of_a_handler_carries_its_task_in_each_run_mode(
    observed: Observed,
) -> None:
    for kind, said in (
        ("say", ["on the loop, before", "on the loop, after", "by the context's logger"]),
        ("say_in_a_thread", ["in a thread"]),
        ("say_in_a_process", ["in a process"]),
    ):
        task = await observed.run(kind, queue="q", headers={"traceparent": GIVEN})
        of_task = {"task": str(task.id), "type": kind, "queue": "q", "attempt": 1}
        for message in [*said, "task succeeded"]:
            line = observed.line(message=message, task=str(task.id))
            assert line.items() >= (of_task | {"trace_id": TRACE, "component": "worker"}).items()
        assert str(task.result).startswith(f"00-{TRACE}-")


async def test_a_task_without_a_trace_is_found_by_its_id(observed: Observed) -> None:
    task = await observed.run("say")
    assert observed.line(message="on the loop, after")["trace_id"] == task.id.hex


@pytest.mark.parametrize("kind", ["ask", "ask_in_a_thread"])
async def test_what_a_task_enqueues_is_of_its_trace(observed: Observed, kind: str) -> None:
    parent = await observed.run(kind, headers={"traceparent": GIVEN, "tracestate": "a=b"})
    child = observed.line(message="on the loop, before", type="say")
    assert child["trace_id"] == TRACE
    found = await observed.store.tasks.get(child["task"])
    assert found is not None
    span = parent.id.hex[-16:]
    assert found.headers == {"traceparent": f"00-{TRACE}-{span}-01", "tracestate": "a=b"}


async def test_secrets_reach_neither_the_log_nor_the_recorded_error(observed: Observed) -> None:
    task = await observed.run("leak")
    observed.line(message="task failed for good", type="leak")
    assert observed.line(message="before: ***")["type"] == "leak"
    assert task.last_error is not None
    assert task.last_error["message"] == "*** at redis://:***@host and password=***"
    for text in (observed.process.log(), json.dumps(task.last_error)):
        assert SECRET not in text
        assert "p4ss" not in text


async def test_the_probe_port_shows_every_documented_metric_of_a_worker(
    observed: Observed,
) -> None:
    await observed.run("say", queue="mail")

    async def counted() -> bool:
        text = await observed.metrics()
        attempts = 'tidemill_worker_attempts_total{outcome="succeeded",type="say"} 1.0'
        return attempts in text and "\ntidemill_worker_claiming 1.0\n" in text

    await eventually_async(counted, seconds=60)
    text = await observed.metrics()
    import_module("tidemill_worker.metrics")
    ours = {name.removesuffix("_total") for name, *_ in rows(REGISTRY) if "_worker_" in name}
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert ours <= families.keys()
    assert {"process_resident_memory_bytes", "process_open_fds", "python_info"} <= families.keys()
    assert 'tidemill_worker_wait_seconds_count{queue="mail"} 1.0' in text
    assert 'tidemill_worker_run_seconds_count{type="say"} 1.0' in text
    assert "\ntidemill_worker_slots 20.0\n" in text


@pytest.mark.parametrize("observed", [("--max-tasks", "1")], indirect=True)
async def test_a_process_that_began_anew_says_so_in_its_metrics(observed: Observed) -> None:
    await observed.run("say")

    async def told() -> bool:
        try:
            return (
                '\ntidemill_worker_recycles_total{reason="tasks"} 1.0' in await observed.metrics()
            )
        except OSError:  # between two interpreters nobody listens
            return False

    await eventually_async(told, seconds=60)


async def test_metrics_answer_while_a_handler_blocks_the_event_loop(
    observed: Observed, tmp_path: Path
) -> None:
    release = tmp_path / "release"
    stored = await observed.client.enqueue(NewTask(type="block", payload={"until": str(release)}))

    async def seen() -> bool:
        found = re.search(
            r"^tidemill_worker_loop_blocked_seconds (\S+)$", await observed.metrics(), re.MULTILINE
        )
        return found is not None and float(found[1]) > 0.5

    await eventually_async(seen, seconds=60)
    release.touch()
    await finished(observed.store, stored.id, seconds=60)
