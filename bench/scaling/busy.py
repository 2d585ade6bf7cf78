"""Pods that were stopped with tasks in hand, seen from what is recorded afterwards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.case import BenchError
from bench.findings import Bar, Finding, number
from bench.scaling.kubelet import Stop
from tidemill.db import Database

_OTHER = ("unstarted", "released", "lease_expired")
COLUMNS = ("scale-downs", "pods stopped", "tasks", "busy", "busy, never ready")
# Whatever a worker ended after its pod was told to stop, it had in hand by then, for it was to
# claim nothing more.
_BUSY = """
SELECT DISTINCT s.uid
  FROM unnest($1::text[], $2::double precision[]) AS s (uid, at)
  JOIN tidemill.workers w ON w.pod_uid = s.uid
  JOIN tidemill.attempts a ON a.worker_id = w.id AND a.finished_at > to_timestamp(s.at)
"""
_ENDS = """
SELECT CASE WHEN a.outcome = 'released' AND a.started_at IS NULL
            THEN 'unstarted' ELSE a.outcome END, count(*)
  FROM tidemill.attempts a JOIN tidemill.queues q ON q.id = a.queue_id
 WHERE q.name = ANY ($1::text[]) GROUP BY 1
"""


_TASKS = """
SELECT count(*) FROM tidemill.tasks t JOIN tidemill.queues q ON q.id = t.queue_id
 WHERE q.name = ANY ($1::text[])
"""


@dataclass(frozen=True, slots=True)
class Group:
    """Queues with the same load. `downs` are the scale-downs of all of them."""

    name: str
    queues: Sequence[str]
    downs: int


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of a group."""

    group: Group
    tasks: int
    stopped: int
    busy: int
    busy_never_ready: int
    ends: Mapping[str, int]

    def row(self) -> list[str]:
        """Return the table's row."""
        group = self.group
        counts = (group.downs, self.stopped, self.tasks, self.busy, self.busy_never_ready)
        return [group.name, *(number(each, 0) for each in counts)]

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {
            "name": self.group.name,
            "scale_downs": self.group.downs,
            "tasks": self.tasks,
            "pods_stopped": self.stopped,
            "pods_stopped_busy": self.busy,
            "pods_stopped_busy_before_ready": self.busy_never_ready,
            "attempts_by_outcome": dict(self.ends),
        }


async def tally(db: Database, group: Group, stops: Sequence[Stop]) -> Tally:
    """Return what became of a group whose tasks have all ended. Raises BenchError if not."""
    mine = [each for each in stops if each.app in group.queues]
    rows = await db.fetch(_BUSY, [each.uid for each in mine], [each.at for each in mine])
    busy = {str(row[0]) for row in rows}
    ends = {str(row[0]): int(row[1]) for row in await db.fetch(_ENDS, list(group.queues))}
    tasks = int(await db.fetchval(_TASKS, list(group.queues)))
    if ends.get("succeeded", 0) != tasks:
        raise BenchError(f"{group.name}: {tasks} tasks were to succeed; they ended {ends}")
    return Tally(
        group=group,
        tasks=tasks,
        stopped=len(mine),
        busy=sum(each.uid in busy for each in mine if each.was_ready),
        busy_never_ready=sum(each.uid in busy for each in mine if not each.was_ready),
        ends=ends,
    )


def finding(name: str, title: str, found: Sequence[Tally], wanted: int) -> Finding:
    """Return the table, with its bars: none was busy, of enough."""
    ends = {kind: sum(each.ends.get(kind, 0) for each in found) for kind in _OTHER}
    return Finding(
        name=name,
        title=title,
        columns=COLUMNS,
        rows=[each.row() for each in found],
        figures={"cases": [each.to_json() for each in found]},
        bars=[
            Bar("scale-downs", sum(each.group.downs for each in found), wanted),
            *(
                Bar(f"pods stopped busy, {each.group.name}", each.busy, 0, at_most=True)
                for each in found
            ),
        ],
        notes=[
            f"tasks claimed ahead and given back before they began: {ends['unstarted']}",
            f"given back later: {ends['released']}; leases that expired: {ends['lease_expired']}",
            "busy, never ready: nobody could know of them yet",
        ],
    )
