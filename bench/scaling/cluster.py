"""The whole of it: a cluster of this machine with the chart in it, for as long as a case takes."""

import asyncio
import base64
import functools
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from bench.case import BenchError
from bench.scaling import manifests
from bench.scaling.core_api import core_api
from bench.scaling.plane import told
from bench.scaling.watching import Access, Watch, watching
from bench.stopping import stop
from bench.subject import Say
from deploy import cluster as clusters
from deploy import image, release
from deploy.cluster import Cluster
from deploy.errors import DeployError
from tests.support.control_plane import ControlPlane
from tidemill.db import Database
from tidemill.settings import Settings

NAMESPACE = "tidemill-bench"
NAPS = Path(__file__).resolve().parents[1] / "naps.py"
REPLICAS = ('index .metadata.labels "tidemill.dev/taskqueue"', ".spec.replicas")
"""Of a Deployment: its TaskQueue and its replicas"""


@dataclass(frozen=True, slots=True)
class Stage:
    """A cluster with Tidemill in it. `kube` is kubectl, `api` the client's CoreV1Api."""

    kube: ControlPlane
    api: Any
    db: Database
    image: str

    @property
    def access(self) -> Access:
        """How to watch it."""
        return Access(self.kube.kubectl, self.kube.kubeconfig, self.kube.namespace)

    @asynccontextmanager
    async def kept(self, *made: manifests.Manifest) -> AsyncGenerator[None]:
        """Have these TaskQueues during the block."""
        names = [each["metadata"]["name"] for each in made]
        try:
            with told():
                for each in made:
                    await asyncio.to_thread(self.kube.apply, each)
            yield
        finally:
            await asyncio.to_thread(self.kube.run, "delete", "tq", *names, "--timeout=120s")

    @asynccontextmanager
    async def queues(self, *made: manifests.Manifest) -> AsyncGenerator[Watch]:
        """Yield a watch of Deployments with these TaskQueues there and at zero."""
        async with self.kept(*made), watching(self.access, "deployments", *REPLICAS) as watch:
            for each in made:
                await self.settled(watch, each["metadata"]["name"], after=0.0)
            yield watch

    async def settled(self, watch: Watch, name: str, *, after: float) -> None:
        """Wait until a TaskQueue's Deployment has no replicas."""
        await watch.first(
            lambda each: each.words == (name, "-"),
            after=after,
            seconds=120,
            what=f"{name} at zero",
        )


@asynccontextmanager
async def staged(say: Say) -> AsyncGenerator[Stage]:
    """Yield a cluster with the chart in a namespace of the bench's own, removed at the end.

    The cluster of `make cluster-up` is used where it is up, else started and removed again. Raises
    BenchError.
    """
    with _deploying():
        cluster = clusters.choose()
        cluster.check()
    stayed = cluster.is_up()
    try:
        with _deploying():
            await asyncio.to_thread(_install, cluster, say)
        async with _stage(cluster) as stage:
            yield stage
    finally:
        if stayed:
            delete = ("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=180s")
            await asyncio.to_thread(release.kubectl, cluster, *delete)
        else:
            await asyncio.to_thread(cluster.down, say)


def _install(cluster: Cluster, say: Say) -> None:
    cluster.up(say)
    cluster.bring_images(image.reference(), say)
    release.make_namespace(cluster, NAMESPACE)
    say("install the chart")
    release.install(cluster, image.reference(), namespace=NAMESPACE)


@asynccontextmanager
async def _stage(cluster: Cluster) -> AsyncGenerator[Stage]:
    kube = ControlPlane(cluster.kubeconfig, NAMESPACE, cluster.kubectl())
    with told():
        await asyncio.to_thread(kube.apply, manifests.naps(NAPS.read_text()))
        secret = await asyncio.to_thread(kube.get, "secret", "tidemill-database-owner")
    url = base64.b64decode(secret["data"]["url"]).decode()
    async with _forwarded(kube, "service/tidemill-postgres", 5432) as port:
        settings = Settings.load({}, database_url=_through(url, port))
        db = Database.of(settings, application="bench")
        try:
            with core_api(cluster.kubeconfig) as api:
                yield Stage(kube, api, db, image.reference())
        finally:
            await db.close()


@asynccontextmanager
async def _forwarded(kube: ControlPlane, target: str, port: int) -> AsyncGenerator[int]:
    """Yield the port of this machine that leads to a port in the cluster. Raises BenchError."""
    process = await asyncio.create_subprocess_exec(
        *(kube.kubectl, "--kubeconfig", str(kube.kubeconfig), "--namespace", kube.namespace),
        *("port-forward", target, f":{port}"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None  # noqa: S101 - it was asked for
    try:
        said = (await process.stdout.readline()).decode()
        before, _, after = said.partition(" -> ")
        if not after:
            raise BenchError(f"no way to {target}: {said!r}")
        yield int(before.rpartition(":")[2])
    finally:
        await stop(process)


def _through(url: str, port: int) -> str:
    parts = urlsplit(url)
    login = parts.netloc.rpartition("@")[0]
    return urlunsplit(parts._replace(netloc=f"{login}@127.0.0.1:{port}"))


@contextmanager
def _deploying() -> Generator[None]:
    try:
        yield
    except DeployError as error:
        raise BenchError(str(error)) from error


async def call(function: Any, *args: Any, **given: Any) -> Any:
    """Call a blocking function in a thread."""
    return await asyncio.to_thread(functools.partial(function, *args, **given))
