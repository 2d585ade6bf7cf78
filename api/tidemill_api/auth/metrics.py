"""What the guard counts. Names of tokens are the configuration's, and only the first are told."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

MOST_NAMES: Final = 100
OTHER: Final = "other"


class AuthMetrics:
    """The counters of one server's guard."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Create all series' families in `registry`."""
        self._refused = Counter(
            "tidemill_api_refused_requests",
            "Requests not let in: missing, malformed, unknown, expired, scope, queue, rate",
            ("reason",),
            registry=registry,
        )
        self._admitted = Counter(
            "tidemill_api_authenticated_requests",
            "Requests let in, by the name of their token",
            ("token",),
            registry=registry,
        )
        self.stale = Gauge(
            "tidemill_api_tokens_stale",
            "1 while the file of tokens cannot be used and earlier tokens are in force",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._names: dict[str, Counter] = {}

    def refuse(self, reason: str) -> None:
        """Count a request that was not let in."""
        self._refused.labels(reason).inc()

    def admit(self, name: str) -> None:
        """Count a request of the token `name`."""
        series = self._names.get(name)
        if series is None:
            told = name if len(self._names) < MOST_NAMES else OTHER
            series = self._admitted.labels(told)
            if told == name:
                self._names[name] = series
        series.inc()
