"""What one operator with many TaskQueues costs: the database, the API server, memory."""

import asyncio
import json
import re
import time
from dataclasses import dataclass
from typing import Any

from bench.findings import Finding, number
from bench.scaling.plane import TICK_SECONDS, operating, told
from bench.server import Bed
from bench.subject import Say, Scale, Subject
from bench.target import Target
from tests.support.control_plane import ControlPlane, Operator, plain_deployment, task_queue
from tests.support.scaling import SECRET
from tests.support.waiting import until

IDLE_SECONDS = 60.0
BUSY_SECONDS = 30.0
SETTLE_SECONDS = 30.0
PATIENCE_SECONDS = 300.0
REQUEST = re.compile(r"^tidemill_operator_api_requests_total\{.*\} (\S+)$", re.MULTILINE)
COLUMNS = (
    "while", "statements/s", "API requests/s", "operator's CPU %", "memory MiB",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Load:
    """What the operator asked and used in some seconds."""

    name: str
    seconds: float
    statements: int
    requests: float
    cpu_seconds: float
    memory_mib: float

    def row(self) -> list[str]:
        """Return the table's row."""
        shares = (
            self.statements / self.seconds,
            self.requests / self.seconds,
            100 * self.cpu_seconds / self.seconds,
            self.memory_mib,
        )
        return [self.name, *(number(each) for each in shares)]

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {name: getattr(self, name) for name in self.__slots__}


class Fleet(Subject):
    """An operator whose TaskQueues are half their own Deployments', half somebody else's."""

    name = "scaling-fleet"
    by_default = False

    async def run(self, bed: Bed, scale: Scale, say: Say) -> list[Finding]:
        """Measure while nothing happens, and while one task a second comes to some queue."""
        async with bed.database() as target, operating(target, say) as (plane, operator):
            with told():
                await asyncio.to_thread(_make, plane, scale.task_queues)
                say(f"scaling-fleet: waiting until {scale.task_queues} TaskQueues were looked at")
                await asyncio.to_thread(_seen, plane, scale.task_queues)
            await asyncio.sleep(SETTLE_SECONDS)
            idle = await _measured("nothing happens", target, operator, IDLE_SECONDS, ())
            names = [_name(each) for each in range(0, scale.task_queues, 7)]
            busy = await _measured("a task a second comes", target, operator, BUSY_SECONDS, names)
        return [_finding([idle, busy], scale.task_queues)]


def _name(number_of_it: int) -> str:
    return f"fleet-{number_of_it}"


def _make(plane: ControlPlane, count: int) -> None:
    items: list[Any] = [SECRET]
    for each in range(count):
        name = _name(each)
        if each % 2:
            items.append(plain_deployment(name, replicas=0))
            items.append(task_queue(name, {"scaleTargetRef": {"name": name}}))
        else:
            items.append(task_queue(name, {"worker": {}}))
    listed = {"apiVersion": "v1", "kind": "List", "items": items}
    plane.run("apply", "-f", "-", text=json.dumps(listed))


def _seen(plane: ControlPlane, count: int) -> None:
    def all_told() -> bool:
        found = plane.get("taskqueues")
        return sum("lastDecision" in (each.get("status") or {}) for each in found) == count

    until(all_told, seconds=PATIENCE_SECONDS, what="every TaskQueue has a decision")


async def _measured(
    name: str, target: Target, operator: Operator, seconds: float, queues: list[str] | tuple[()]
) -> Load:
    requests, cpu, began = _requests(operator), _cpu_seconds(operator), time.monotonic()
    async with target.counted(1) as sample:
        while (left := began + seconds - time.monotonic()) > 0:
            if queues:
                queue = queues[int(left) % len(queues)]
                await target.ask("SELECT tidemill.enqueue('t', queue => $1)", queue)
            await asyncio.sleep(min(1.0, left))
    return Load(
        name,
        time.monotonic() - began,
        sample.statements or 0,
        _requests(operator) - requests,
        _cpu_seconds(operator) - cpu,
        _memory_mib(operator),
    )


def _requests(operator: Operator) -> float:
    return sum(map(float, REQUEST.findall(operator.probe("/metrics"))))


def _cpu_seconds(operator: Operator) -> float:
    return _metric(operator, "process_cpu_seconds_total")


def _memory_mib(operator: Operator) -> float:
    return _metric(operator, "process_resident_memory_bytes") / 2**20


def _metric(operator: Operator, name: str) -> float:
    found = re.search(rf"^{name} (\S+)$", operator.probe("/metrics"), re.MULTILINE)
    return float(found[1]) if found else float("nan")


def _finding(found: list[Load], task_queues: int) -> Finding:
    return Finding(
        name="scaling-fleet",
        title=f"one operator with {task_queues} TaskQueues",
        columns=COLUMNS,
        rows=[each.row() for each in found],
        figures={"task_queues": task_queues, "loads": [each.to_json() for each in found]},
        bars=[],
        notes=[
            f"half have spec.worker, half scaleTargetRef; tick of {TICK_SECONDS:g} s",
            "statements of the operator alone, but for the enqueues; watches are not in requests",
        ],
    )
