"""What the operator has seen of the cluster: the TaskQueues, and the Deployments it owns.

Fed by kopf's watches and by the operator's own full lists and writes. A watch may lose deletions
(after it had to start anew), so a full list replaces what it does not name. An object older than
the one at hand is ignored: our own writes come back through the watch late.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tidemill_operator.body import part
from tidemill_operator.deaths import Death, Deaths

Json = dict[str, Any]
Key = tuple[str, str]

DELETED = "DELETED"


def key_of(body: Mapping[str, Any]) -> Key:
    """Return (namespace, name)."""
    return body["metadata"]["namespace"], body["metadata"]["name"]


def uid_of(body: Mapping[str, Any]) -> str:
    """Return the object's uid."""
    uid: str = body["metadata"]["uid"]
    return uid


class View:
    """The latest known state. `on_change` is called when something changed that may matter."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        """Start empty and not complete: see `complete`."""
        self._on_change = on_change
        self._task_queues: dict[str, Json] = {}
        self._deployments: dict[Key, Json] = {}
        self._gone: dict[str, Json] = {}
        self._deaths = Deaths()
        self._seen_during_list: set[str] = set()
        self.complete = False
        """Whether all TaskQueues are known: before that, nobody can tell a duplicate."""

    @property
    def task_queues(self) -> list[Json]:
        """The TaskQueues, the oldest first."""
        return sorted(self._task_queues.values(), key=_age)

    def deployment(self, key: Key) -> Json | None:
        """Return the owned Deployment with this (namespace, name), if it was seen."""
        return self._deployments.get(key)

    def see_task_queue(self, body: Json, *, deleted: bool = False) -> None:
        """Take over a TaskQueue from a watch or a list."""
        uid = uid_of(body)
        self._seen_during_list.add(uid)
        before = self._task_queues.get(uid)
        if deleted:
            self._lose(uid, body)
        elif before is None or _newer(body, before):
            self._task_queues[uid] = body
            if before is None or _wanted(before) != _wanted(body):
                self._on_change()

    def see_written(self, body: Json) -> None:
        """Take over a TaskQueue from the answer to a write, unless it went meanwhile."""
        if uid_of(body) in self._task_queues:
            self.see_task_queue(body)

    def see_deployment(self, body: Json, *, deleted: bool = False) -> None:
        """Take over a Deployment from a watch or from the answer to a write."""
        key = key_of(body)
        before = self._deployments.get(key)
        if deleted:
            if before is not None and uid_of(before) == uid_of(body):
                del self._deployments[key]
                self._on_change()
        elif before is None or uid_of(before) != uid_of(body) or _newer(body, before):
            self._deployments[key] = body
            self._on_change()

    def see_pod(self, body: Json, *, deleted: bool = False) -> None:
        """Take over a worker pod from a watch: only its death matters."""
        if self._deaths.see(body, deleted=deleted):
            self._on_change()

    def take_deaths(self) -> list[Death]:
        """Return the pods and containers that died since the last call."""
        return self._deaths.take()

    def put_back_deaths(self, deaths: Iterable[Death]) -> None:
        """Return deaths that could not be acted on, to be taken again."""
        self._deaths.put_back(deaths)

    def begin_list(self) -> None:
        """Note that a full list is under way: what is seen from now on is newer than it."""
        self._seen_during_list.clear()

    def end_list(self, listed: Iterable[Json]) -> None:
        """Take over a full list of TaskQueues: those that it does not name are gone."""
        by_uid = {uid_of(each): each for each in listed}
        for uid in self._task_queues.keys() - by_uid.keys() - self._seen_during_list:
            self._lose(uid, self._task_queues[uid])
        for uid, body in by_uid.items():
            if uid not in self._seen_during_list:
                self.see_task_queue(body)
        self.complete = True

    def take_gone(self) -> list[Json]:
        """Return the TaskQueues that went since the last call."""
        gone, self._gone = list(self._gone.values()), {}
        return gone

    def put_back_gone(self, body: Json) -> None:
        """Return a TaskQueue whose farewell could not be finished, to be taken again."""
        self._gone.setdefault(uid_of(body), body)

    def _lose(self, uid: str, body: Json) -> None:
        if self._task_queues.pop(uid, None) is not None:
            self._gone[uid] = body
            self._on_change()


def _age(body: Mapping[str, Any]) -> tuple[str, bool, str]:
    """Return what the oldest come first by.

    Creation is known to the second only: of one second, the one that was served already is older.
    """
    unserved = "desiredReplicas" not in part(body, "status")
    return body["metadata"]["creationTimestamp"], unserved, uid_of(body)


def _newer(body: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Return whether `body` is at least as new; versions that are no numbers say nothing."""
    try:
        versions = [int(each["metadata"]["resourceVersion"]) for each in (body, before)]
    except (KeyError, ValueError):
        return True
    return versions[0] >= versions[1]


def _wanted(body: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return what a change of matters: not the status, which we write ourselves."""
    return body["metadata"].get("generation"), body["metadata"].get("deletionTimestamp")
