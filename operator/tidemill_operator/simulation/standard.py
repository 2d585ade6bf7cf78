"""The loads and the scalers held beside each other: in the tests and in docs/scaling.md."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tidemill_operator.policy import Policy
from tidemill_operator.simulation import loads
from tidemill_operator.simulation.loads import Arrival
from tidemill_operator.simulation.model import Place
from tidemill_operator.simulation.play import Played, play
from tidemill_operator.simulation.scalers import (
    Hpa,
    HpaRules,
    Keda,
    KedaRules,
    Scaler,
    Tidemill,
)

PLACE: Final = Place(start_seconds=4.0, slots=1)
SLO_SECONDS: Final = 10.0

LOADS: Final[Mapping[str, Callable[[], list[Arrival]]]] = {
    "burst: 100 tasks of 2 s at once": lambda: loads.burst(100, 2.0, at=40.0),
    "steady: 2/s of 2 s, 30 min": lambda: loads.steady(2.0, 2.0, 1800.0),
    "sawtooth: up to 4/s of 2 s in 10 min": lambda: loads.sawtooth(4.0, 2.0, 3600.0, period=600.0),
    "cron: 60 tasks of 5 s every 5 min": lambda: loads.burst(
        60, 5.0, at=40.0, every=300.0, times=12
    ),
    "noise: 2/s ± 20 % of 2 s ± 20 %": lambda: loads.noisy(2.0, 2.0, 3600.0),
    "slow drain: 500 tasks of 1 s, then 0.2/s": lambda: [
        *loads.burst(500, 1.0, at=40.0),
        *loads.steady(0.2, 1.0, 1200.0),
    ],
    "flapping: 3/s of 2 s, a minute on, a minute off": lambda: loads.flapping(
        3.0, 2.0, 3600.0, period=120.0
    ),
    "worst: one task of 2 s a minute": lambda: loads.burst(1, 2.0, at=40.0, every=60.0, times=30),
}


@dataclass(frozen=True, slots=True)
class Contender:
    """A scaler anew for each load; `replicas` = workers at the start, where it cannot have none."""

    name: str
    make: Callable[[], Scaler]
    replicas: int = 0


CONTENDERS: Final[Sequence[Contender]] = (
    Contender("Tidemill", lambda: Tidemill(Policy(slots=PLACE.slots))),
    Contender("HPA, from 1", lambda: Hpa(HpaRules()), replicas=1),
    Contender("KEDA + HPA", lambda: Keda(KedaRules(), HpaRules())),
    Contender(
        "KEDA + HPA, tuned",
        lambda: Keda(
            KedaRules(poll_seconds=1.0, cooldown_seconds=30.0), HpaRules(down_window_seconds=0.0)
        ),
    ),
)


def played(load: str, contender: Contender) -> Played:
    """Play one of LOADS through one of CONTENDERS."""
    return play(LOADS[load](), contender.make(), place=PLACE, replicas=contender.replicas)


def table() -> Iterator[str]:
    """Yield the lines of the Markdown table of every load and every contender."""
    yield (
        "| load | scaler | wait p50 | wait p99 | started within 10 s | replica-seconds "
        "| direction changes | busy pods stopped |"
    )
    yield "|---|---|--:|--:|--:|--:|--:|--:|"
    for load in LOADS:
        for contender in CONTENDERS:
            found = played(load, contender)
            yield (
                f"| {load} | {contender.name} | {found.wait(0.5):.1f} s | {found.wait(0.99):.1f} s "
                f"| {found.started_within(SLO_SECONDS):.0%} | {found.replica_seconds:.0f} "
                f"| {found.direction_changes} | {found.busy_stopped} |"
            )
