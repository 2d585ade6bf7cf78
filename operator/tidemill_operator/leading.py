"""Holds the Lease that lets one operator act, or stands by until it may. See `leadership`.

Everything that an operator writes asks here first (`check`). A holder that could not renew in time
stops by its own clock, so it has stopped before another begins. One that was stopped itself (a
machine that slept) may not know yet: its writes to Kubernetes carry a resourceVersion and its marks
the term, and whatever is refused has the Lease read again before anything else is written.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from tidemill.errors import TidemillError
from tidemill.metrics import Gauge
from tidemill.service import Loop
from tidemill_operator.kube import Kube
from tidemill_operator.kube_errors import (
    KubeConflict,
    KubeError,
    KubeForbidden,
    KubeInvalid,
    KubeNotFound,
)
from tidemill_operator.leadership import (
    DEADLINE_SECONDS,
    LOOK_SECONDS,
    RENEW_SECONDS,
    Act,
    Sighting,
    held,
    judge,
    released,
    sighting,
)
from tidemill_operator.troubles import Troubles

log = logging.getLogger(__name__)

LEADER = Gauge("tidemill_operator_leader", "1 when this operator acts, 0 when it stands by")

DRAW_SECONDS = 2.0

Draw = Callable[[int], Awaitable[int]]


class NotLeading(TidemillError):
    """Raised where an operator that does not hold the Lease would have written something."""


@dataclass(frozen=True, slots=True)
class LeaseName:
    """Where the Lease is."""

    namespace: str
    name: str

    def __str__(self) -> str:
        """Return it as people write it."""
        return f"{self.namespace}/{self.name}"


class Leadership(Loop):
    """This operator's part in who acts."""

    JITTER: ClassVar[float] = 0.1

    def __init__(self, kube: Kube, lease: LeaseName, identity: str, draw: Draw) -> None:
        """Share `kube` with nobody: renewals must not wait for other calls.

        `draw` gives a term that is higher than its argument and than all that it gave before.
        """
        super().__init__("leadership", LOOK_SECONDS)
        self._kube = kube
        self._lease = lease
        self._identity = identity
        self._draw = draw
        self._drawn = False
        self._highest = 0
        self._seen: Sighting | None = None
        self._acts_until = float("-inf")
        self._told = ""
        self._readable = False
        self._step = asyncio.Lock()
        self._troubles = Troubles(log)
        self.on_lead: Callable[[], None] = lambda: None
        """Called when this operator begins to act."""

    @property
    def term(self) -> int | None:
        """The term while this operator may act; None while it may not."""
        if self._seen is None or time.monotonic() >= self._acts_until:
            return None
        return self._seen.term

    @property
    def ready(self) -> bool:
        """Whether this operator acts, or would when its turn comes: the Lease can be used."""
        return self._readable

    def check(self) -> None:
        """Raise NotLeading unless this operator may act now."""
        if self.term is None:
            raise NotLeading(f"this operator does not hold Lease {self._lease}")

    async def confirm(self) -> None:
        """Read the Lease again, now; raise NotLeading unless this operator still holds it."""
        async with self._step:
            self.check()
            try:
                self._look(await self._read())
            except KubeError as error:
                log.debug("Lease %s not read: %s", self._lease, error)
        self.check()

    def refused(self, term: int) -> None:
        """Stop acting: somebody has acted in this term, later than ours. Then see who holds it."""
        self._highest = max(self._highest, term)
        self._drawn = False
        self._stop_acting(f"an act of a later term was found ({term})")
        self.wake()

    async def run_once(self) -> int:
        """Renew the Lease, take it, or see who holds it."""
        async with self._step:
            try:
                await self._turn()
            except KubeConflict:
                self.interval = LOOK_SECONDS / 4  # somebody was quicker: see who
            except KubeError as error:
                self.interval = LOOK_SECONDS
                self._readable = False
                self._troubles.met("lease", self._complaint(error))
            else:
                self._readable = True
                self._troubles.over("lease", f"Lease {self._lease} can be used")
            if self._told and self.term is None:
                self._stop_acting(f"it was not renewed for {DEADLINE_SECONDS:g} s")
            LEADER.set(self.term is not None)
        return 0

    async def stop(self) -> None:
        """Stop, and let the Lease go, so that another begins at once."""
        await super().stop()
        if self._seen is None or self._seen.holder != self._identity:
            return
        seen, self._seen = self._seen, None
        LEADER.set(0)
        try:
            await self._kube.replace_lease(released(seen.body))
        except KubeError as error:
            log.info("Lease %s not let go, it runs out: %s", self._lease, error)
        else:
            log.info("Lease %s let go", self._lease)

    async def _turn(self) -> None:
        started = time.monotonic()
        self._look(await self._read())
        act = judge(self._identity, self._seen, time.monotonic())
        if act is Act.WAIT:
            self.interval = LOOK_SECONDS
            return
        term = await self._term_for(act)
        self._took(await self._write(act, term), started)

    async def _read(self) -> Mapping[str, Any] | None:
        try:
            return await self._kube.lease(self._lease.namespace, self._lease.name)
        except KubeNotFound:
            return None

    def _look(self, body: Mapping[str, Any] | None) -> None:
        """Take over what was read; stop acting when it is not ours."""
        self._seen = sighting(self._seen, body, time.monotonic())
        holder = "" if self._seen is None else self._seen.holder
        self._highest = max(self._highest, self._seen.term if self._seen else 0)
        if holder == self._identity:
            return
        if self._told == self._identity:
            self._stop_acting(f"{holder or 'nobody'} holds it now")
        if holder and holder != self._told:
            log.info("standing by: Lease %s is held by %s", self._lease, holder)
            self._told = holder

    async def _term_for(self, act: Act) -> int:
        """Return the present term when it is ours and was drawn, else a higher one."""
        if act is Act.RENEW and self._drawn and self._seen is not None:
            return self._seen.term
        try:
            term = await asyncio.wait_for(self._draw(self._highest), DRAW_SECONDS)
        except Exception as error:  # noqa: BLE001 - away, refusing, or without the table yet
            # Without the database no marks are written: a term is drawn when it is back.
            log.debug("no term from the database: %s", error)
            self._drawn = False
            known = self._seen is not None and self._seen.term >= self._highest
            return self._highest if act is Act.RENEW and known else self._highest + 1
        self._drawn = True
        return term

    async def _write(self, act: Act, term: int) -> Mapping[str, Any]:
        before = None if self._seen is None else self._seen.body
        body = held(self._lease.name, self._lease.namespace, self._identity, term, before)
        if act is Act.CREATE:
            return await self._kube.create_lease(body)
        return await self._kube.replace_lease(body)

    def _took(self, body: Mapping[str, Any], started: float) -> None:
        """Act from now on: until the deadline counted from before the Lease was asked for."""
        acted = self.term
        self._seen = sighting(None, body, time.monotonic())
        self._highest = max(self._highest, self._seen.term if self._seen else 0)
        self._acts_until = started + DEADLINE_SECONDS
        self.interval = RENEW_SECONDS
        if self._told != self._identity or acted is None:
            log.info("acting: holds Lease %s as %s", self._lease, self._identity)
        self._told = self._identity
        if self.term != acted:
            self.on_lead()

    def _stop_acting(self, why: str) -> None:
        self._acts_until = float("-inf")
        LEADER.set(0)
        if self._told == self._identity:
            log.warning("stopped acting under Lease %s: %s", self._lease, why)
            self._told = ""

    def _complaint(self, error: KubeError) -> str:
        wrong = f"Lease {self._lease} cannot be used, so this operator does not act: {error}"
        if isinstance(error, KubeForbidden):
            return (
                f"{wrong} (its account needs get, create and update of leases in "
                f"coordination.k8s.io there; TIDEMILL_OPERATOR_LEASE_NAMESPACE names another place)"
            )
        if isinstance(error, KubeNotFound | KubeInvalid):
            return f"{wrong} (TIDEMILL_OPERATOR_LEASE_NAMESPACE and _LEASE say where it is)"
        return wrong
