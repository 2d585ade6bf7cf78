"""What decisions of one TaskQueue are made from: connections left, and how long workers start."""

from typing import Any

from tests.support.decisions import NOW
from tidemill.settings import Settings
from tidemill_operator.connections import (
    SPARE_CONNECTIONS,
    Connections,
    connections_per_replica,
)
from tidemill_operator.course import LONGEST_START_SECONDS
from tidemill_operator.decision import Decision
from tidemill_operator.need import Reading
from tidemill_operator.sizing import Situation, Sizing

SETTINGS = Settings(database_url="postgresql://nowhere/", database_pool_size=8)


def task_queue(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"uid": "u", "name": "q", "namespace": "n"}, "spec": spec}


def deployment(wanted: int, ready: int) -> dict[str, Any]:
    return {"spec": {"replicas": wanted}, "status": {"readyReplicas": ready}}


def situation(wanted: int, ready: int, queued: int, now: float = NOW) -> Situation:
    reading = Reading(queued=queued, running=0)
    return Situation(
        task_queue=task_queue(worker={}), found=deployment(wanted, ready), reading=reading, now=now
    )


def test_workers_that_start_have_their_connections_kept_for_them() -> None:
    connections = Connections()
    connections.seen(SPARE_CONNECTIONS + 40)
    sizing = Sizing(task_queue(worker={}), SETTINGS, connections)
    # 4 fit; 2 of the 3 that are wanted are still to connect
    decision = sizing.decide(situation(3, ready=1, queued=100))
    assert decision.replicas == 3 + 2
    assert [each.name for each in decision.clamps] == ["maxReplicas", "freeConnections"]


def test_what_one_task_queue_takes_is_not_offered_to_another() -> None:
    connections = Connections()
    connections.seen(SPARE_CONNECTIONS + 100)
    assert connections.left_for("a", 30) == 70
    connections.claim("a", 20)
    assert connections.left_for("b", 0) == 50
    connections.forget("a")
    assert connections.left_for("b", 0) == 100
    connections.seen(None)
    assert connections.left_for("b", 0) is None


def test_a_worker_takes_its_pool_and_two_more_and_none_behind_a_pooler() -> None:
    assert connections_per_replica({"worker": {}}, SETTINGS) == 10
    own = {"worker": {"env": [{"name": "TIDEMILL_DATABASE_POOL_SIZE", "value": "3"}]}}
    assert connections_per_replica(own, SETTINGS) == 5
    pooled = Settings(
        database_url="postgresql://nowhere/", database_pooler="transaction", database_pool_size=8
    )
    assert connections_per_replica(own, pooled) == 0


def test_the_start_of_workers_is_measured_from_the_write_until_all_are_ready() -> None:
    sizing = Sizing(task_queue(worker={}), SETTINGS, Connections())
    assert sizing.course.start_seconds is None
    decision = sizing.decide(situation(0, ready=0, queued=10))
    sizing.course.carried_out(decision, before=0, now=NOW)
    sizing.saw(deployment(2, ready=1), NOW + 2)
    assert sizing.course.start_seconds is None
    sizing.saw(deployment(2, ready=2), NOW + 6)
    assert sizing.course.start_seconds == 6.0
    sizing.saw(deployment(2, ready=2), NOW + 60)
    assert sizing.course.start_seconds == 6.0
    again = sizing.decide(situation(2, ready=2, queued=10, now=NOW + 70))
    assert again.memory.to_status()["startSeconds"] == 6.0


def test_a_start_that_hung_or_was_called_off_is_not_counted() -> None:
    sizing = Sizing(task_queue(worker={}), SETTINGS, Connections())
    sizing.course.carried_out(Decision(replicas=3, reason=""), before=1, now=NOW)
    sizing.saw(deployment(3, ready=3), NOW + LONGEST_START_SECONDS + 1)
    sizing.course.carried_out(Decision(replicas=5, reason=""), before=3, now=NOW)
    sizing.course.carried_out(Decision(replicas=2, reason=""), before=5, now=NOW + 1)
    sizing.saw(deployment(2, ready=2), NOW + 2)
    assert sizing.course.start_seconds is None
