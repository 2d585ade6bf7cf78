"""The queue as Python calls: a small class for each subject, over `sql/queries`."""

from dataclasses import dataclass
from typing import Self

from tidemill.db import Database
from tidemill.store.acts import ActStore
from tidemill.store.bulk import BulkStore
from tidemill.store.dead_letters import DeadLetterStore
from tidemill.store.endings import EndingStore
from tidemill.store.leases import LeaseStore
from tidemill.store.listing import ListingStore
from tidemill.store.marks import MarkStore
from tidemill.store.purges import PurgeStore
from tidemill.store.queues import QueueStore
from tidemill.store.retention import RetentionStore
from tidemill.store.scaling import ScalingStore
from tidemill.store.schedules import ScheduleStore
from tidemill.store.stats import StatsStore
from tidemill.store.strangers import StrangerStore
from tidemill.store.tasks import TaskStore
from tidemill.store.trends import TrendStore
from tidemill.store.types import TypeStore
from tidemill.store.upkeep import UpkeepStore
from tidemill.store.watching import WatchStore
from tidemill.store.workers import WorkerStore


@dataclass(frozen=True, slots=True)
class Store:
    """All parts over one database."""

    db: Database
    tasks: TaskStore
    acts: ActStore
    bulk: BulkStore
    dead_letters: DeadLetterStore
    leases: LeaseStore
    endings: EndingStore
    strangers: StrangerStore
    workers: WorkerStore
    marks: MarkStore
    types: TypeStore
    queues: QueueStore
    purges: PurgeStore
    stats: StatsStore
    trends: TrendStore
    scaling: ScalingStore
    schedules: ScheduleStore
    upkeep: UpkeepStore
    retention: RetentionStore
    listing: ListingStore
    watching: WatchStore

    @classmethod
    def of(cls, db: Database) -> Self:
        """Return the store over `db`."""
        return cls(
            db=db,
            tasks=TaskStore(db),
            acts=ActStore(db),
            bulk=BulkStore(db),
            dead_letters=DeadLetterStore(db),
            leases=LeaseStore(db),
            endings=EndingStore(db),
            strangers=StrangerStore(db),
            workers=WorkerStore(db),
            marks=MarkStore(db),
            types=TypeStore(db),
            queues=QueueStore(db),
            purges=PurgeStore(db),
            stats=StatsStore(db),
            trends=TrendStore(db),
            scaling=ScalingStore(db),
            schedules=ScheduleStore(db),
            upkeep=UpkeepStore(db),
            retention=RetentionStore(db),
            listing=ListingStore(db),
            watching=WatchStore(db),
        )
