"""What is measured of the streams."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class StreamMetrics:
    """How many streams there are, and how many clients were too slow for theirs."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Create both."""
        self.streams = Gauge(
            "tidemill_api_event_streams", "Clients of /api/events", registry=registry
        )
        self.dropped = Counter(
            "tidemill_api_event_streams_dropped",
            "Clients of /api/events cut off because they did not read",
            registry=registry,
        )
