"""Several operators at once: one acts, the others stand by, and none undoes what another did."""

import json
import re
import signal
from collections.abc import Callable
from typing import Any

import psycopg

from tests.support.control_plane import (
    ControlPlane,
    Operator,
    allow_leases,
    plain_deployment,
    task_queue,
)
from tests.support.scaling import QUICK, empty, enqueue
from tests.support.waiting import until
from tidemill_cli.local.postgres import EmbeddedPostgres

Start = Callable[..., Operator]


def role(operator: Operator) -> str:
    """Return whether an operator says that it acts or stands by; '' when it is not ready."""
    answer = operator.probe("/readyz")
    return str(json.loads(answer)["status"]) if answer else ""


def leads(operator: Operator) -> bool:
    return role(operator) == "acting"


def stands_by(operator: Operator) -> bool:
    return role(operator) == "standing by"


def lease_of(operator: Operator) -> str:
    """Return the name of the Lease that an operator says it uses."""
    found = re.search(r"Lease default/(\S+)", operator.said())
    assert found, operator.said()
    return found[1].rstrip(":")


def two(start: Start, **settings: str) -> tuple[Operator, Operator]:
    """Return an operator that acts and one that stands by."""
    first = start()
    until(lambda: leads(first), seconds=60, what="the first acts")
    second = start(**settings)
    until(lambda: stands_by(second), seconds=60, what="the second stands by")
    return first, second


def scaled(plane: ControlPlane, name: str, **scaling: Any) -> None:
    """Make a Deployment and a TaskQueue that scales it."""
    plane.apply(plain_deployment(name, replicas=0))
    spec = {"scaleTargetRef": {"name": name}, "scaling": {**QUICK, **scaling}}
    plane.apply(task_queue(name, spec))


def test_of_two_one_acts_and_when_it_is_killed_the_other_goes_on(
    clean: ControlPlane, start_operator: Start, database_url: str
) -> None:
    first, second = two(start_operator)
    lease = clean.get("lease", lease_of(first))["spec"]
    scaled(clean, "pair")
    enqueue(database_url, "pair", 10)
    until(lambda: clean.replicas("pair") == 2, seconds=60, what="scaled")
    assert "pair" in first.said()
    assert "pair" not in second.said()
    assert "tidemill_operator_leader 0.0" in second.probe("/metrics")

    first.kill()
    enqueue(database_url, "pair", 10)
    until(lambda: clean.replicas("pair") == 4, seconds=90, what="the other has taken over")
    assert "tidemill_operator_leader 1.0" in second.probe("/metrics")
    after = clean.get("lease", lease_of(second))["spec"]
    assert after["leaseTransitions"] > lease["leaseTransitions"]
    assert after["holderIdentity"] != lease["holderIdentity"]


def test_an_orderly_end_lets_the_lease_go(clean: ControlPlane, start_operator: Start) -> None:
    first, second = two(start_operator)
    name = lease_of(first)
    assert first.stop() == 0
    assert f"Lease default/{name} let go" in first.said()
    until(lambda: leads(second), seconds=60, what="the other acts")
    assert second.stop() == 0
    spec = clean.get("lease", name)["spec"]
    assert (spec["holderIdentity"], spec["leaseDurationSeconds"]) == ("", 1)


def test_a_holder_that_was_paused_undoes_nothing_of_its_successors_work(
    clean: ControlPlane, start_operator: Start, database_url: str
) -> None:
    first, second = two(start_operator)
    scaled(clean, "paused")
    enqueue(database_url, "paused", 5)
    until(lambda: clean.replicas("paused") == 1, seconds=60, what="scaled by the first")
    first.signal(signal.SIGSTOP)
    until(lambda: leads(second), seconds=90, what="the second acts")
    enqueue(database_url, "paused", 20)
    until(lambda: clean.replicas("paused") == 5, seconds=60, what="scaled by the second")
    generation = clean.get("deployment", "paused")["metadata"]["generation"]
    first.signal(signal.SIGCONT)
    until(lambda: "stopped acting" in first.said(), seconds=60, what="the first has stopped")
    assert stands_by(first)
    assert clean.get("deployment", "paused")["metadata"]["generation"] == generation
    assert leads(second)
    enqueue(database_url, "paused", 5)
    until(lambda: clean.replicas("paused") == 6, seconds=60, what="the second goes on")
    assert clean.get("deployment", "paused")["metadata"]["generation"] == generation + 1


def test_a_lease_that_is_deleted_by_hand_is_made_anew_in_a_later_term(
    clean: ControlPlane, start_operator: Start, database_url: str
) -> None:
    operator = start_operator()
    until(lambda: leads(operator), seconds=60, what="it acts")
    name = lease_of(operator)
    term = clean.get("lease", name)["spec"]["leaseTransitions"]
    clean.run("delete", "lease", name)
    until(lambda: clean.exists("lease", name), seconds=60, what="made anew")
    assert clean.get("lease", name)["spec"]["leaseTransitions"] > term
    scaled(clean, "anew")
    enqueue(database_url, "anew", 5)
    until(lambda: clean.replicas("anew") == 1, seconds=60, what="it acts")


def test_terms_go_on_though_the_lease_went_while_nobody_was_there(
    clean: ControlPlane, start_operator: Start
) -> None:
    first = start_operator()
    until(lambda: leads(first), seconds=60, what="it acts")
    name = lease_of(first)
    for _ in range(2):  # each is deleted while its holder lives: it draws anew
        clean.run("delete", "lease", name)
        until(lambda: clean.exists("lease", name), seconds=60, what="made anew")
    term = clean.get("lease", name)["spec"]["leaseTransitions"]
    first.kill()
    clean.run("delete", "lease", name)
    second = start_operator()
    until(lambda: leads(second), seconds=60, what="the next acts")
    assert clean.get("lease", name)["spec"]["leaseTransitions"] > term


def test_elected_without_the_database_it_acts_and_draws_its_term_when_that_is_back(
    clean: ControlPlane, start_operator: Start, private_server: EmbeddedPostgres, migrated: str
) -> None:
    with psycopg.connect(migrated, autocommit=True) as connection:
        connection.execute("UPDATE tidemill.operator_terms SET term = 500")
    private_server.crash()
    operator = start_operator(migrated)
    until(lambda: leads(operator), seconds=60, what="it acts all the same")
    name = lease_of(operator)
    assert clean.get("lease", name)["spec"]["leaseTransitions"] == 1
    private_server.start()
    until(
        lambda: clean.get("lease", name)["spec"]["leaseTransitions"] > 500,
        seconds=60,
        what="a term above all that were drawn",
    )
    until(lambda: leads(operator), seconds=60, what="it acts in it")


def test_without_the_right_to_leases_it_says_so_and_acts_when_it_has_it(
    clean: ControlPlane, start_operator: Start, database_url: str
) -> None:
    clean.run("delete", "namespace", "elsewhere", "--ignore-not-found", "--timeout=120s")
    clean.run("create", "namespace", "elsewhere")
    operator = start_operator(TIDEMILL_OPERATOR_LEASE_NAMESPACE="elsewhere")
    scaled(clean, "unled")
    enqueue(database_url, "unled", 5)
    until(lambda: "needs get, create and update" in operator.said(), seconds=60, what="it says so")
    assert "TIDEMILL_OPERATOR_LEASE_NAMESPACE" in operator.said()
    assert operator.probe("/healthz")
    assert not operator.probe("/readyz")
    assert clean.replicas("unled") == 0
    allow_leases(clean, "elsewhere")
    until(lambda: clean.replicas("unled") == 1, seconds=60, what="it acts")
    assert leads(operator)


def test_a_mark_of_a_later_term_makes_it_stop_and_take_a_higher_one(
    clean: ControlPlane, start_operator: Start, database_url: str
) -> None:
    operator = start_operator()
    until(lambda: leads(operator), seconds=60, what="it acts")
    name = lease_of(operator)
    scaled(clean, "later")
    enqueue(database_url, "later", 5)
    until(lambda: clean.replicas("later") == 1, seconds=60, what="scaled")
    pods = until(lambda: clean.get("pods", "-l", "app=later"), seconds=60, what="a pod")
    uid = pods[0]["metadata"]["uid"]
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO tidemill.workers (name, slots, queues, version, hostname, pid, pod_uid,"
            " cordoned, mark_term) VALUES ('w', 1, '{*}', '0', 'h', 1, %s, true, 9000)",
            [uid],
        )
    empty(database_url, "later")
    until(lambda: clean.replicas("later") == 0, seconds=60, what="its pod goes all the same")
    assert "an act of a later term was found (9000)" in operator.said()
    assert clean.get("lease", name)["spec"]["leaseTransitions"] > 9000
