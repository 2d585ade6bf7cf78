"""What runs over HTTP come to. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench.findings import number, quantile
from bench.measure import Spread

COLUMNS = ("requests/s", "tasks/s", "p50 ms", "p99 ms", "server µs/task", "ratio (min - max)")


@dataclass(frozen=True, slots=True)
class Run:
    """Requests in `seconds`, how long each took, and the server's processor seconds if known."""

    requests: int
    seconds: float
    times: Sequence[float]
    server_seconds: float | None

    @property
    def per_second(self) -> float:
        """Return the rate of requests."""
        return self.requests / self.seconds


@dataclass(frozen=True, slots=True)
class Series:
    """The runs of one case, one a round; `batch` tasks a request."""

    name: str
    batch: int
    runs: Sequence[Run]

    def row(self, limit: "Series | None") -> list[str]:
        """Return its line of the table; `limit` is what it is a share of, None for a limit."""
        found = self.to_json(limit)
        ratio = found["ratio_to_limit"]
        shown = "a limit"
        if ratio is not None:
            shown = f"{ratio['median']:.2f} ({ratio['min']:.2f} - {ratio['max']:.2f})"
        return [
            self.name,
            f"{found['requests_per_second']['median']:,.0f}",
            f"{found['requests_per_second']['median'] * self.batch:,.0f}",
            number(found["p50_ms"], 2),
            number(found["p99_ms"], 2),
            number(found["server_cpu_microseconds_per_task"]),
            shown,
        ]

    def to_json(self, limit: "Series | None") -> dict[str, Any]:
        """Return its figures as a JSON object."""
        times = [each * 1000 for run in self.runs for each in run.times]
        used = [
            run.server_seconds * 1e6 / (run.requests * self.batch)
            for run in self.runs
            if run.server_seconds is not None
        ]
        return {
            "name": self.name,
            "requests_per_second": Spread.of([run.per_second for run in self.runs]).to_json(),
            "p50_ms": quantile(times, 0.5),
            "p99_ms": quantile(times, 0.99),
            "server_cpu_microseconds_per_task": median(used) if used else None,
            "ratio_to_limit": limit and Spread.of(self.ratios(limit)).to_json(),
        }

    def ratios(self, limit: "Series") -> list[float]:
        """Return each round's rate as a share of the limit's in that round."""
        return [
            mine.per_second / theirs.per_second
            for mine, theirs in zip(self.runs, limit.runs, strict=True)
        ]
