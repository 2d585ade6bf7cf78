"""The worker processes of `tidemill up`: who is there, who comes, who goes."""

import asyncio
import itertools
from collections.abc import Callable, Iterable, Sequence

from tidemill.store.listing import ListedWorker
from tidemill.store.marks import PodWorker
from tidemill_cli.local.child import Child
from tidemill_cli.local.keeper import Keeper

GONE_SECONDS = 60.0
"""A worker that was not seen for so long counts as gone."""


class Member:
    """A worker process that is kept alive. A `retirement.Holder`."""

    def __init__(self, number: int, keeper: Keeper) -> None:
        """Nothing is known yet of what it does."""
        self.number = number
        self.keeper = keeper
        self.workers: tuple[PodWorker, ...] = ()

    @property
    def uid(self) -> str:
        """Its number: none is given twice."""
        return str(self.number)

    @property
    def age(self) -> str:
        """When it came; later is greater."""
        return f"{self.number:09}"

    @property
    def pending(self) -> bool:
        """Whether no process runs: it ended and waits to be started again."""
        return not self.keeper.child.running

    @property
    def leases(self) -> int:
        """How many tasks it has in hand."""
        return sum(each.leases for each in self.workers)

    @property
    def draining(self) -> bool:
        """Whether it is marked as draining."""
        return bool(self.workers) and all(each.draining for each in self.workers)

    @property
    def cordoned(self) -> bool:
        """Whether it claims nothing more."""
        return bool(self.workers) and all(each.cordoned or each.draining for each in self.workers)

    @property
    def marked(self) -> bool:
        """Whether it has a mark."""
        return any(each.cordoned or each.draining for each in self.workers)


class Crew:
    """Keeps members alive, and lets some go. `employ(name)` makes the keeper of a new one."""

    def __init__(self, employ: Callable[[str], Keeper]) -> None:
        """Begin with nobody."""
        self._employ = employ
        self._numbers = itertools.count(1)
        self._tasks = dict[Member, asyncio.Task[None]]()
        self._leaving = set[Member]()

    @property
    def members(self) -> Sequence[Member]:
        """Those that are to stay, in the order in which they came."""
        return [each for each in self._tasks if each not in self._leaving]

    @property
    def children(self) -> list[Child]:
        """The processes of all of them, also of those that are on their way out."""
        return [each.keeper.child for each in self._tasks]

    def tasks(self) -> list[asyncio.Task[None]]:
        """Return what runs for them; who left in peace is forgotten."""
        for member in [each for each in self._leaving if self._tasks[each].done()]:
            if self._tasks[member].exception() is None:
                self._leaving.discard(member)
                del self._tasks[member]
        return list(self._tasks.values())

    def add(self, count: int) -> None:
        """Start so many more."""
        for _ in range(count):
            number = next(self._numbers)
            name = f"worker-{number}"
            member = Member(number, self._employ(name))
            # The app may be broken by an edit: no reason to end those that serve.
            member.keeper.hopeful = bool(self.members)
            self._tasks[member] = asyncio.create_task(member.keeper.run(), name=name)

    def release(self, going: Iterable[Member]) -> None:
        """Tell these to go: they are not started again."""
        for member in going:
            self._leaving.add(member)
            member.keeper.leave()

    def see(self, listed: Iterable[ListedWorker], hostname: str) -> list[ListedWorker]:
        """Take over what the database knows of the members; return the workers of others.

        A silent one is none of ours, whatever its process id: a restarted container gives the
        same ids again, under the same name.
        """
        ours = {each.keeper.child.pid: each for each in self._tasks}
        for member in self._tasks:
            member.workers = ()
        others = list[ListedWorker]()
        for each in listed:
            live = each.seen_seconds <= GONE_SECONDS
            if live and each.hostname == hostname and each.pid in ours:
                ours[each.pid].workers += (_as_seen(each),)
            else:
                others.append(each)
        return others


def _as_seen(each: ListedWorker) -> PodWorker:
    return PodWorker(
        id=each.id,
        pod_uid="",
        container=None,
        draining=each.draining,
        cordoned=each.cordoned,
        leases=each.running,
    )
