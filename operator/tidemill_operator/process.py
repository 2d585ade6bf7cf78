"""The operator as a process: `tidemill operator`.

Our own parts start first, so that /healthz answers while the CRD is still missing; then kopf runs
until a signal or a failure ends it. Our parts stop in kopf's clean-up, before it ends what is left.
"""

import asyncio
import logging
import signal
import socket
import uuid
from dataclasses import dataclass
from pathlib import Path

import kopf
from kubernetes import client

from tidemill.db import Database
from tidemill.errors import TidemillError
from tidemill.notify import Listener
from tidemill.service import Group
from tidemill.settings import Settings
from tidemill.store import Store
from tidemill_operator import login, watch
from tidemill_operator.external.figures import Figures
from tidemill_operator.external.serving import MetricsServer
from tidemill_operator.kube import THREADS, Kube
from tidemill_operator.leading import Leadership, LeaseName
from tidemill_operator.pacing import Backoff
from tidemill_operator.probes import Probes
from tidemill_operator.queues import Queues
from tidemill_operator.reconcile import Reconciler, namespaces_of
from tidemill_operator.view import View

log = logging.getLogger(__name__)

APPLICATION = "tidemill operator"
CRD_SECONDS = 1.0
POOL_SIZE = 4
READER_THREADS = 2
LEASE_CALL_SECONDS = (2.0, 3.0)
"""Longest connect and read of a call about the Lease: two of them fit before the deadline."""


def run(settings: Settings) -> int:
    """Run the operator until SIGTERM or SIGINT; return the process's exit code."""
    try:
        return asyncio.run(_run(settings))
    except TidemillError as error:
        log.error("%s", error)  # noqa: TRY400  one clear line; the traceback says no more
        return 1


async def _run(settings: Settings) -> int:
    stop = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    configuration = login.configuration(login.environment(), connections=THREADS)
    database = Database.of(settings, application=APPLICATION, pool_size=POOL_SIZE)
    store = Store.of(database)
    lease_kube = Kube(configuration, threads=1, seconds=LEASE_CALL_SECONDS)
    leadership = Leadership(lease_kube, _lease(settings), _identity(), store.marks.draw_term)
    kube = Kube(configuration, leadership, backoff=Backoff())
    # Reads for others, whether this operator acts or stands by.
    reader = Kube(configuration, threads=READER_THREADS)
    try:
        edges = Edges(kube, reader, store, leadership)
        return await operate(settings, configuration, edges, stop)
    finally:
        await kube.close()
        await reader.close()
        await lease_kube.close()
        await database.close()


def _lease(settings: Settings) -> LeaseName:
    namespace = settings.operator_lease_namespace or login.own_namespace(login.environment())
    return LeaseName(namespace, settings.operator_lease)


def _identity() -> str:
    """Return a name that no other process has, also none that runs under this host's name later."""
    return f"{socket.gethostname()}_{uuid.uuid4().hex[:8]}"


@dataclass(frozen=True, slots=True)
class Edges:
    """What an operator works on, and whether it may."""

    kube: Kube
    reader: Kube
    store: Store
    leadership: Leadership


async def operate(
    settings: Settings, configuration: client.Configuration, edges: Edges, stop: asyncio.Event
) -> int:
    """Run on the given cluster and database until `stop` is set; return the exit code."""
    leadership = edges.leadership
    reconciler = Reconciler(settings, edges.kube, edges.store, leadership)
    leadership.on_lead = reconciler.wake
    listener = Listener(settings, application=APPLICATION)
    listener.subscribe(reconciler.hear)
    probes = Probes(
        settings.operator_probe_host,
        settings.operator_probe_port,
        leadership,
        lambda: reconciler.seconds_since_progress,
    )
    parts = [probes, leadership, reconciler, listener]
    group = Group([*parts, *_metrics_server(settings, edges, reconciler.view)], "operator")
    await group.start()
    try:
        await _wait_for_definition(reconciler, stop)
        if stop.is_set():
            return 0
        return await _watch(settings, configuration, reconciler, group, stop)
    finally:
        await group.stop()


def _metrics_server(settings: Settings, edges: Edges, view: View) -> list[MetricsServer]:
    """Return the server of external.metrics.k8s.io; none where it is off."""
    if settings.operator_metrics_port == 0:
        return []
    figures = Figures(view, Queues(edges.store))
    host, port = settings.operator_probe_host, settings.operator_metrics_port
    folder = Path(settings.operator_metrics_certs)
    return [MetricsServer(host, port, folder, edges.reader, figures)]


async def _wait_for_definition(reconciler: Reconciler, stop: asyncio.Event) -> None:
    """Return when the TaskQueues could be listed once, so the CRD is there; or on `stop`.

    kopf looks for the kinds it serves once, at its start.
    """
    while not reconciler.view.complete and not stop.is_set():
        try:
            await asyncio.wait_for(stop.wait(), CRD_SECONDS)
        except TimeoutError:
            continue


async def _watch(
    settings: Settings,
    configuration: client.Configuration,
    reconciler: Reconciler,
    group: Group,
    stop: asyncio.Event,
) -> int:
    registry = watch.registry_for(reconciler.view, configuration)

    @kopf.on.cleanup(registry=registry)
    async def clean_up(**_: object) -> None:
        await group.stop()

    watch.calm_logs()
    log.info("watching TaskQueues", extra={"namespaces": settings.operator_namespaces or "all"})
    try:
        await kopf.operator(
            registry=registry,
            settings=watch.settings(),
            stop_flag=stop,
            **watch.scope(namespaces_of(settings)),
        )
    except Exception:
        log.exception("watching the cluster failed")
        return 1
    return 0
