"""The Deployment behind a TaskQueue: its own from `spec.worker`, or the one of `scaleTargetRef`.

Both answer `find` (as it is), `ensure` (what must hold before scaling) and `scale`. They raise
CannotAct where a person has to do something, and let a KubeError through otherwise.
"""

import hashlib
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from tidemill_operator import problems, resources
from tidemill_operator.body import part, parts
from tidemill_operator.kube import FIELD_MANAGER, Kube
from tidemill_operator.kube_errors import KubeNotFound
from tidemill_operator.problems import CannotAct
from tidemill_operator.resources import WorkerDefaults
from tidemill_operator.view import Key, View, uid_of

Json = dict[str, Any]

TARGET_FRESH_SECONDS = 5.0
MOVING_FRESH_SECONDS = 1.0
CALM_FRESH_SECONDS = 30.0
"""While nothing waits or runs. A write carries what was read: a stale one is refused."""

SECRET_FRESH_SECONDS = 30.0


def replicas_of(deployment: Mapping[str, Any]) -> int:
    """Return the wanted replicas of a Deployment."""
    wanted: int = deployment["spec"].get("replicas", 1)
    return wanted


def ready_of(deployment: Mapping[str, Any]) -> int:
    """Return the ready pods of a Deployment."""
    ready: int = part(deployment, "status").get("readyReplicas", 0)
    return ready


def _with_replicas(deployment: Mapping[str, Any], scale: Mapping[str, Any]) -> Json:
    """Return `deployment` as it is after `scale` was written, until a watch or a read says more."""
    meta = dict(deployment["metadata"])
    meta["resourceVersion"] = scale["metadata"]["resourceVersion"]
    meta["generation"] = meta.get("generation", 0) + 1
    spec = {**deployment["spec"], "replicas": scale["spec"].get("replicas", 0)}
    return {**deployment, "metadata": meta, "spec": spec}


class Target(ABC):
    """The Deployment of one TaskQueue."""

    @abstractmethod
    def update(self, task_queue: Mapping[str, Any]) -> None:
        """Take over the TaskQueue as it is now."""

    @abstractmethod
    async def find(self, *, fresh: bool = False, calm: bool = False) -> Json | None:
        """Return it, None when it is still to be made; `fresh` asks the API server.

        `calm`: nothing waits or runs, so it need not be asked often.
        """

    @abstractmethod
    async def ensure(self, deployment: Json | None, replicas: int | None) -> Json:
        """Make it as it should be; `replicas` counts only for one that is made now."""

    @abstractmethod
    async def scale(self, deployment: Json, replicas: int) -> Json:
        """Write the replicas, unless it changed since it was read; return it as it is then."""


class OwnedTarget(Target):
    """The Deployment that the operator makes from `spec.worker` and keeps as it should be."""

    def __init__(self, kube: Kube, view: View, image: str, app: str) -> None:
        """Take what a TaskQueue without image or app gets; nothing is read yet."""
        self._kube = kube
        self._view = view
        self._image = image
        self._app = app
        self._task_queue: Mapping[str, Any] = {}
        self._applied: tuple[str, int] | None = None
        self._secret: tuple[str, float, bool] | None = None

    def update(self, task_queue: Mapping[str, Any]) -> None:
        """Take over the TaskQueue as it is now."""
        self._task_queue = task_queue

    @property
    def _key(self) -> Key:
        return self._task_queue["metadata"]["namespace"], resources.worker_name(self._task_queue)

    async def find(self, *, fresh: bool = False, calm: bool = False) -> Json | None:
        del calm  # it is watched
        seen = None if fresh else self._view.deployment(self._key)
        if seen is None:
            try:
                seen = await self._kube.deployment(*self._key)
            except KubeNotFound:
                return None
            self._view.see_deployment(seen)
        self._check_owner(seen)
        return seen

    def _check_owner(self, deployment: Mapping[str, Any]) -> None:
        owners = parts(deployment, "metadata", "ownerReferences")
        if not any(each["uid"] == uid_of(self._task_queue) for each in owners):
            raise CannotAct(
                problems.NAME_TAKEN,
                f"Deployment {self._key[1]} exists and does not belong to this TaskQueue",
            )

    async def ensure(self, deployment: Json | None, replicas: int | None) -> Json:
        with_ca = await self._check_secret()
        defaults = self._defaults(with_ca=with_ca)
        kept = self._kept_replicas(deployment) if deployment else replicas
        manifest = resources.deployment(self._task_queue, defaults, replicas=kept)
        digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
        generation = deployment["metadata"].get("generation", 0) if deployment else -1
        if deployment is not None and self._applied == (digest, generation):
            return deployment
        applied = await self._kube.apply_deployment(manifest)
        self._applied = (digest, applied["metadata"].get("generation", 0))
        self._view.see_deployment(applied)
        return applied

    def _kept_replicas(self, deployment: Mapping[str, Any]) -> int | None:
        """Return the present replicas while our apply owns them, else None.

        The apply that made the Deployment owns `replicas` until a write through /scale changes
        them. Left out before that, they would fall back to Kubernetes' default of 1.
        """
        for entry in parts(deployment, "metadata", "managedFields"):
            ours = entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Apply"
            if ours and "f:replicas" in part(entry, "fieldsV1", "f:spec"):
                return replicas_of(deployment)
        return None

    def _defaults(self, *, with_ca: bool) -> WorkerDefaults:
        worker = self._task_queue["spec"]["worker"]
        if not (worker.get("image") or self._image):
            message = "spec.worker.image is not set, and the operator has no TIDEMILL_WORKER_IMAGE"
            raise CannotAct(problems.IMAGE_MISSING, message)
        if not (worker.get("app") or self._app):
            message = "spec.worker.app is not set, and the operator has no TIDEMILL_APP"
            raise CannotAct(problems.APP_MISSING, message)
        return WorkerDefaults(image=self._image, app=self._app, with_ca=with_ca)

    async def _check_secret(self) -> bool:
        """Return whether the database's Secret has a CA. Raises CannotAct when it is missing."""
        name, namespace = resources.secret_name(self._task_queue), self._key[0]
        now = time.monotonic()
        if self._secret and self._secret[0] == name and self._secret[1] > now:
            return self._secret[2]
        try:
            keys = await self._kube.secret_keys(namespace, name)
        except KubeNotFound:
            message = f"Secret {name} is missing in namespace {namespace}"
            raise CannotAct(problems.DATABASE_SECRET_MISSING, message) from None
        if resources.URL_KEY not in keys:
            message = f"Secret {name} in namespace {namespace} has no key {resources.URL_KEY!r}"
            raise CannotAct(problems.DATABASE_SECRET_MISSING, message)
        with_ca = resources.CA_KEY in keys
        self._secret = (name, now + SECRET_FRESH_SECONDS, with_ca)
        return with_ca

    async def scale(self, deployment: Json, replicas: int) -> Json:
        scaled = _with_replicas(deployment, await self._kube.write_scale(deployment, replicas))
        if self._applied:
            # Our own write raised the generation by one: that is no drift.
            self._applied = (self._applied[0], scaled["metadata"]["generation"])
        self._view.see_deployment(scaled)
        return scaled


class ReferencedTarget(Target):
    """An existing Deployment that `spec.scaleTargetRef` names: only its replicas are ours."""

    def __init__(self, kube: Kube) -> None:
        """Take the edge; nothing is read yet."""
        self._kube = kube
        self._reference: Mapping[str, Any] = {}
        self._namespace = ""
        self._seen: tuple[Json, float] | None = None

    def update(self, task_queue: Mapping[str, Any]) -> None:
        """Take over the TaskQueue as it is now."""
        reference = task_queue["spec"]["scaleTargetRef"]
        if reference != self._reference:
            self._seen = None
        self._reference = reference
        self._namespace = task_queue["metadata"]["namespace"]

    async def find(self, *, fresh: bool = False, calm: bool = False) -> Json:
        self._check_kind()
        if self._seen is not None and not fresh and self._is_fresh(*self._seen, calm=calm):
            return self._seen[0]
        name = self._reference["name"]
        try:
            found = await self._kube.deployment(self._namespace, name)
        except KubeNotFound:
            self._seen = None
            message = f"Deployment {name} is missing in namespace {self._namespace}"
            raise CannotAct(problems.TARGET_NOT_FOUND, message) from None
        self._seen = (found, time.monotonic())
        return found

    def _is_fresh(self, deployment: Json, read_at: float, *, calm: bool) -> bool:
        limit = CALM_FRESH_SECONDS if calm else TARGET_FRESH_SECONDS
        if ready_of(deployment) != replicas_of(deployment):
            limit = MOVING_FRESH_SECONDS
        return time.monotonic() - read_at < limit

    def _check_kind(self) -> None:
        version = self._reference.get("apiVersion", "apps/v1")
        kind = self._reference.get("kind", "Deployment")
        if (version, kind) != ("apps/v1", "Deployment"):
            message = (
                f"{version} {kind} cannot be scaled: scaleTargetRef must be an apps/v1 Deployment"
            )
            raise CannotAct(problems.TARGET_UNSUPPORTED, message)

    async def ensure(self, deployment: Json | None, replicas: int | None) -> Json:
        del replicas  # it exists, or `find` raised
        return deployment if deployment is not None else await self.find(fresh=True)

    async def scale(self, deployment: Json, replicas: int) -> Json:
        try:
            scaled = _with_replicas(deployment, await self._kube.write_scale(deployment, replicas))
        finally:
            self._seen = None  # whatever came of it, the next look asks again
        return scaled
