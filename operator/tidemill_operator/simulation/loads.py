"""Loads to play: when each task comes and how long it runs. The same seed is the same load."""

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Arrival:
    """A task that comes `at` seconds after the start and runs for `run_seconds`."""

    at: float
    run_seconds: float


def burst(
    tasks: int, run_seconds: float, *, at: float = 0.0, every: float = 0.0, times: int = 1
) -> list[Arrival]:
    """Return `tasks` at once, `times` times, `every` seconds apart (a cron job's load)."""
    return [Arrival(at + turn * every, run_seconds) for turn in range(times) for _ in range(tasks)]


def steady(
    per_second: float, run_seconds: float, seconds: float, *, seed: int = 1
) -> list[Arrival]:
    """Return tasks that come at random, at the same rate all the time."""
    return _varying(lambda _: per_second, per_second, run_seconds, seconds, random.Random(seed))


def exponential(
    per_second: float, run_seconds: float, seconds: float, *, seed: int = 1
) -> list[Arrival]:
    """Return steady arrivals at random whose run times are exponential with that mean."""
    chance = random.Random(seed)
    come = _varying(lambda _: per_second, per_second, run_seconds, seconds, chance)
    return [Arrival(each.at, chance.expovariate(1 / run_seconds)) for each in come]


def sawtooth(
    most_per_second: float, run_seconds: float, seconds: float, *, period: float, seed: int = 1
) -> list[Arrival]:
    """Return a rate that climbs from nothing to its most in each period, and falls at once."""
    return _varying(
        lambda at: most_per_second * (at % period) / period,
        most_per_second,
        run_seconds,
        seconds,
        random.Random(seed),
    )


def flapping(
    most_per_second: float, run_seconds: float, seconds: float, *, period: float, seed: int = 1
) -> list[Arrival]:
    """Return a rate that is on for half of each period and off for the other half."""
    return _varying(
        lambda at: most_per_second if at % period < period / 2 else 0.0,
        most_per_second,
        run_seconds,
        seconds,
        random.Random(seed),
    )


def noisy(
    per_second: float, run_seconds: float, seconds: float, *, share: float = 0.2, seed: int = 1
) -> list[Arrival]:
    """Return a rate that changes every 10 s, up to `share` above or below; run times vary too."""
    chance = random.Random(seed)
    rates = [
        per_second * chance.uniform(1 - share, 1 + share) for _ in range(math.ceil(seconds / 10))
    ]
    plain = _varying(
        lambda at: rates[int(at // 10)],
        per_second * (1 + share),
        run_seconds,
        seconds,
        chance,
    )
    return [
        Arrival(each.at, each.run_seconds * chance.uniform(1 - share, 1 + share)) for each in plain
    ]


def _varying(
    rate: Callable[[float], float],
    most: float,
    run_seconds: float,
    seconds: float,
    chance: random.Random,
) -> list[Arrival]:
    """Return random arrivals at a rate that changes with time (thinned from its most)."""

    def candidates() -> Iterator[float]:
        at = chance.expovariate(most)
        while at < seconds:
            yield at
            at += chance.expovariate(most)

    return [Arrival(at, run_seconds) for at in candidates() if chance.random() * most < rate(at)]
