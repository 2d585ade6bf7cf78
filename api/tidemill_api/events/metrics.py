"""What is measured of the streams."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class StreamMetrics:
    """How many streams there are, what they were told, and who was too slow for it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Create all three."""
        self.streams = Gauge(
            "tidemill_api_event_streams",
            "Clients of /api/events",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.sent = Counter(
            "tidemill_api_events_sent", "Events given to clients of /api/events", registry=registry
        )
        self.dropped = Counter(
            "tidemill_api_event_streams_dropped",
            "Clients of /api/events cut off because they did not read",
            registry=registry,
        )
