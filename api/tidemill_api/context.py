"""What the handlers of one server share."""

import asyncio
from dataclasses import dataclass, field

from aiohttp import web

from tidemill.db import Database
from tidemill.notify import Hints
from tidemill.settings import Settings
from tidemill.store import Store
from tidemill_api.auth.guard import Guard
from tidemill_api.auth.source import TokenWatch, guard_of
from tidemill_api.budget import BodyBudget
from tidemill_api.claims import Claims
from tidemill_api.cors import Cors, cors_of
from tidemill_api.endings import Endings
from tidemill_api.enqueue import Enqueuer
from tidemill_api.events.feed import Feed
from tidemill_api.events.metrics import StreamMetrics
from tidemill_api.gauges import QueueFigures
from tidemill_api.health import Health
from tidemill_api.metrics import ApiMetrics
from tidemill_api.pace import Pace
from tidemill_api.place import prefix_of
from tidemill_api.types import TypeRegistry
from tidemill_api.waits import Waits


@dataclass(slots=True)
class Api:
    """One server's parts."""

    settings: Settings
    store: Store
    enqueuer: Enqueuer
    claims: Claims
    endings: Endings
    waits: Waits
    hints: Hints
    types: TypeRegistry
    health: Health
    figures: QueueFigures
    feed: Feed
    metrics: ApiMetrics
    guard: Guard = field(default_factory=Guard)
    watch: TokenWatch | None = None
    bodies: BodyBudget = field(default_factory=BodyBudget)
    parsing: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by the one large JSON text that is parsed now; what waits is bounded by `bodies`"""
    log_pace: Pace = field(default_factory=Pace)
    cors: Cors | None = None
    own_prefix: str = ""
    """What the setting says; its paths begin with this below wherever it is mounted"""
    prefix: str = ""
    """Where it is found, mounted or by its own prefix: paths that it tells begin with this"""
    document: bytes = b""
    """The encoded OpenAPI document; from the application's start on"""

    @property
    def creates_queues(self) -> bool:
        """Whether a queue that does not exist is made when a task comes for it."""
        return self.settings.create_queues_on_enqueue == "on"

    @classmethod
    def of(cls, settings: Settings, db: Database, hints: Hints) -> "Api":
        """Return the parts of a server on `db`; nothing is started or connected.

        Raises ConfigurationError for tokens, origins or a prefix that cannot be used.
        """
        store = Store.of(db)
        metrics = ApiMetrics()
        guard, watch = guard_of(settings, metrics.registry)
        return cls(
            settings=settings,
            store=store,
            enqueuer=Enqueuer(store.tasks, hints, metrics, settings),
            claims=Claims(store, settings, hints, metrics),
            endings=Endings(store.endings, hints, metrics),
            waits=Waits(store),
            hints=hints,
            types=TypeRegistry(store.types.list, reject_unknown=settings.unknown_types == "reject"),
            health=Health(db),
            figures=QueueFigures(store.stats, metrics.shared),
            feed=Feed(settings, store, StreamMetrics(metrics.registry)),
            metrics=metrics,
            guard=guard,
            watch=watch,
            cors=cors_of(settings.cors_origins),
            own_prefix=prefix_of(settings.api_prefix),
        )


API = web.AppKey("api", Api)
