"""Figures, probes and versions."""

from typing import Final

from tidemill_api.auth.scopes import Limit, Scope
from tidemill_api.endpoints import Endpoint, Reply
from tidemill_api.handlers import system
from tidemill_api.responses.system import (
    AliveAnswer,
    HealthAnswer,
    IndexAnswer,
    ReadyAnswer,
    StatsAnswer,
    VersionAnswer,
)

SYSTEM: Final = (
    Endpoint(
        method="GET",
        path="/api/stats",
        handler=system.stats,
        name="getStats",
        summary="Figures of the system and of each queue",
        tag="system",
        scope=Scope.READ,
        limit=Limit.HANDLER,
        replies={200: Reply("the figures", StatsAnswer)},
        problems=(503,),
    ),
    Endpoint(
        method="GET",
        path="/api/version",
        handler=system.version,
        name="getVersion",
        tagged=True,
        summary="What runs here",
        tag="system",
        scope=Scope.OPEN,
        limit=Limit.FREE,
        replies={200: Reply("versions of code and schema", VersionAnswer)},
    ),
    Endpoint(
        method="GET",
        path="/health",
        handler=system.health,
        name="getHealth",
        summary="Whether this server can do its work",
        tag="probes",
        scope=Scope.OPEN,
        limit=Limit.FREE,
        replies={
            200: Reply("ok", HealthAnswer),
            503: Reply("degraded: the database is down, or its schema does not fit", HealthAnswer),
        },
    ),
    Endpoint(
        method="GET",
        path="/healthz",
        handler=system.alive,
        name="getLiveness",
        summary="The process turns; says nothing of the database",
        tag="probes",
        scope=Scope.OPEN,
        limit=Limit.FREE,
        replies={200: Reply("alive", AliveAnswer)},
    ),
    Endpoint(
        method="GET",
        path="/readyz",
        handler=system.ready,
        name="getReadiness",
        summary="Whether requests should be sent here",
        tag="probes",
        scope=Scope.OPEN,
        limit=Limit.FREE,
        replies={
            200: Reply("ready", ReadyAnswer),
            503: Reply("draining, or the database does not answer or fit", ReadyAnswer),
        },
    ),
    Endpoint(
        method="GET",
        path="/metrics",
        handler=system.metrics,
        name="getMetrics",
        summary="Metrics in Prometheus' text format",
        tag="probes",
        scope=Scope.READ,
        replies={200: Reply("metrics", str, media="text/plain")},
    ),
    Endpoint(
        method="GET",
        path="/openapi.json",
        handler=system.openapi,
        name="getOpenApi",
        tagged=True,
        summary="This document",
        tag="system",
        scope=Scope.OPEN,
        limit=Limit.FREE,
        replies={200: Reply("OpenAPI 3.1", dict[str, object])},
    ),
    Endpoint(
        method="GET",
        path="/",
        handler=system.index,
        name="getIndex",
        summary="Where to look next",
        tag="system",
        scope=Scope.OPEN,
        limit=Limit.FREE,
        replies={200: Reply("paths", IndexAnswer)},
    ),
)
