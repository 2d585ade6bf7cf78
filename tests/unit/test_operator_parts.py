"""Small parts of the operator: probes, queue settings, kopf's settings, documented rights."""

import logging
import re
import socket
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
import yaml

import tidemill_operator
from tests.support.control_plane import LEASES, RULES
from tidemill.errors import ConfigurationError
from tidemill.retry import RetryPolicy
from tidemill.settings import Settings
from tidemill.store.queues import QueueSettings
from tidemill_cli.local.postgres import free_port
from tidemill_operator import watch
from tidemill_operator.probes import STALLED_SECONDS, Probes
from tidemill_operator.queue_settings import owner_of, settings_of
from tidemill_operator.reconcile import namespaces_of
from tidemill_operator.troubles import Troubles


@dataclass
class Leads:
    term: int | None = None
    ready: bool = True


async def test_readyz_says_who_acts_and_fails_where_nobody_can_tell() -> None:
    leads, port = Leads(), free_port()
    probes = Probes("127.0.0.1", port, leads, lambda: 0.0)
    async with probes, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
        for term, ready, told in (
            (None, True, (200, "standing by")),
            (3, True, (200, "acting")),
            (None, False, (503, "the Lease cannot be used")),
        ):
            leads.term, leads.ready = term, ready
            async with http.get("/readyz") as answer:
                assert (answer.status, (await answer.json())["status"]) == told
            async with http.get("/healthz") as answer:
                assert answer.status == 200


async def test_healthz_follows_the_loops_progress() -> None:
    seconds = 0.0
    port = free_port()
    probes = Probes("127.0.0.1", port, Leads(), lambda: seconds)
    async with probes, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
        async with http.get("/healthz") as answer:
            assert (answer.status, (await answer.json())["status"]) == (200, "ok")
        seconds = STALLED_SECONDS + 1
        async with http.get("/healthz") as answer:
            assert (answer.status, (await answer.json())["status"]) == (503, "stalled")
        async with http.get("/metrics") as answer:
            assert "tidemill_operator_turns_total" in await answer.text()


async def test_a_taken_probe_port_is_one_clear_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        probes = Probes("127.0.0.1", taken.getsockname()[1], Leads(), lambda: 0.0)
        with pytest.raises(ConfigurationError, match="TIDEMILL_OPERATOR_PROBE_PORT must be free"):
            await probes.start()
    await probes.stop()


def test_settings_that_are_left_out_stay_unset() -> None:
    assert settings_of({"worker": {}}) == QueueSettings()
    assert settings_of({"worker": {}}).given() == []


def test_all_settings_arrive() -> None:
    spec = {
        "paused": False,
        "retry": {"policy": "list", "delaysSeconds": [1, 5], "maxRetries": 2},
        "leaseSeconds": 10,
        "timeoutSeconds": 20,
        "rateLimit": {"tasks": 5, "seconds": 2},
        "maxRunning": 7,
        "retention": {"succeededSeconds": 1, "failedSeconds": 2, "cancelledSeconds": 3},
    }
    settings = settings_of(spec)
    assert settings == QueueSettings(
        paused=False,
        max_retries=2,
        retry=RetryPolicy(policy="list", delays_seconds=(1, 5)),
        lease_seconds=10,
        timeout_seconds=20,
        rate_tasks=5,
        rate_seconds=2,
        max_running=7,
        succeeded_seconds=1,
        failed_seconds=2,
        cancelled_seconds=3,
    )
    assert None not in {getattr(settings, name) for name in settings.given()}


def test_max_retries_alone_sets_no_policy() -> None:
    settings = settings_of({"retry": {"maxRetries": 1}})
    assert (settings.retry, settings.max_retries) == (None, 1)


def test_the_owner_is_named_with_its_namespace() -> None:
    meta = {"uid": "u", "namespace": "n", "name": "q"}
    owner = owner_of({"metadata": meta, "spec": {"deletionPolicy": "Purge"}})
    assert (owner.uid, owner.name, owner.deletion_policy) == ("u", "n/q", "Purge")


def test_namespaces_and_kopfs_scope() -> None:
    assert namespaces_of(Settings(operator_namespaces=" a, b ,")) == ["a", "b"]
    assert namespaces_of(Settings()) == []
    assert watch.scope(["a"]) == {"namespaces": ["a"]}
    assert watch.scope([]) == {"clusterwide": True}


def test_kopf_writes_nothing_and_the_server_filters_what_it_watches() -> None:
    chosen = watch.settings()
    assert chosen.scanning.disabled
    assert not chosen.posting.enabled
    assert list(chosen.watching.label_selectors.values()) == [
        "app.kubernetes.io/managed-by=tidemill-operator",
        "tidemill.dev/worker",
    ]


def test_no_handler_of_kopf_needs_a_finalizer() -> None:
    folder = Path(tidemill_operator.__file__).parent
    used = {
        name
        for path in folder.glob("*.py")
        for name in re.findall(r"kopf\.on\.(\w+)|kopf\.(daemon|timer)", path.read_text())
    }
    assert {first or second for first, second in used} == {"login", "event", "cleanup"}


def test_a_lasting_trouble_is_one_line_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    troubles = Troubles(logging.getLogger("test"))
    caplog.set_level(logging.INFO)
    for _ in range(3):
        troubles.met("a", "a: away")
    troubles.met("b", "b: away")
    troubles.met("a", "a: refused")
    for _ in range(2):
        troubles.over("a", "a: works again")
    assert caplog.messages == ["a: away", "b: away", "a: refused", "a: works again"]


def test_the_chart_gives_the_documented_rights() -> None:
    chart = Path(__file__).parents[2] / "charts/tidemill/templates/operator/_rules.tpl"
    text = chart.read_text().split('"tidemill.operatorRules" -}}')[1].split("{{- end }}")[0]
    given = {
        (rule["apiGroups"][0], tuple(rule["resources"]), tuple(rule["verbs"]))
        for rule in yaml.safe_load(text)
    }
    assert given == {(group, tuple(names), tuple(verbs)) for group, names, verbs in RULES}


def test_the_rights_that_the_tests_give_are_the_documented_ones() -> None:
    documented = {
        (match[1].replace("(core)", ""), match[2], tuple(match[3].split()))
        for match in re.finditer(
            r"^ {4}(\S+) +([a-z/]+) {2,}([a-z]+(?: [a-z]+)*)",
            tidemill_operator.__doc__ or "",
            re.MULTILINE,
        )
    }
    given = {(group, names[0], tuple(verbs)) for group, names, verbs in (*RULES, LEASES)}
    assert documented == given
