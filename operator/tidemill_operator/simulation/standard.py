"""The loads and the scalers held beside each other: in the tests and in docs/simulation.md."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tidemill_operator.policy import Policy
from tidemill_operator.simulation import loads
from tidemill_operator.simulation.loads import Arrival
from tidemill_operator.simulation.model import Place
from tidemill_operator.simulation.others import Hpa, HpaRules, Keda, KedaRules
from tidemill_operator.simulation.play import Played, play
from tidemill_operator.simulation.report import Figures
from tidemill_operator.simulation.scalers import Scaler, Tidemill

PLACE: Final = Place(start_seconds=4.0, slots=1)
SLO_SECONDS: Final = 10.0
RUNS: Final = 3
"""Runs of each scaler: its polls begin at another moment in each."""

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
    "long: 0.1/s of 60 s, an hour": lambda: loads.steady(0.1, 60.0, 3600.0),
    "worst: one task of 2 s a minute": lambda: loads.burst(1, 2.0, at=40.0, every=60.0, times=30),
}


@dataclass(frozen=True, slots=True)
class Contender:
    """A scaler anew for each load; `replicas` = workers at the start, where it cannot have none."""

    name: str
    make: Callable[[int], Scaler]
    replicas: int = 0


def contenders(policy: Policy) -> Sequence[Contender]:
    """Return the operator with `policy`, and an HPA and KEDA that are set alike.

    Alike are the tasks a replica and the bounds. `make` takes the seed that polls begin at.
    """
    plain = HpaRules(
        least=max(1, policy.min_replicas),
        most=policy.max_replicas,
        per_replica=policy.tasks_per_replica,
    )
    # A window of its own makes it an HPA with spec.behavior, which counts its steps another way.
    quick = replace(plain, behavior=True, down_window_seconds=0.0)
    keda = KedaRules(least=policy.min_replicas)
    hasty = replace(keda, poll_seconds=1.0, cooldown_seconds=30.0)
    return (
        Contender("Tidemill", lambda seed: Tidemill(policy, seed=seed), policy.min_replicas),
        Contender("HPA", lambda seed: Hpa(plain, seed=seed), plain.least),
        Contender("KEDA + HPA", lambda seed: Keda(keda, plain, seed=seed), keda.least),
        Contender("KEDA + HPA, tuned", lambda seed: Keda(hasty, quick, seed=seed), keda.least),
    )


CONTENDERS: Final = contenders(Policy(slots=PLACE.slots))


def played(load: str, contender: Contender, seed: int = 1) -> Played:
    """Play one of LOADS through one of CONTENDERS."""
    scaler = contender.make(seed)
    return play(LOADS[load](), scaler, place=PLACE, replicas=contender.replicas, seed=seed)


def figures(load: str, through: Callable[[str, Contender, int], Played] = played) -> list[Figures]:
    """Return what comes of one of LOADS with each of CONTENDERS."""
    return [
        Figures.of(
            each.name,
            [through(load, each, seed) for seed in range(1, RUNS + 1)],
            slo_seconds=SLO_SECONDS,
        )
        for each in CONTENDERS
    ]
