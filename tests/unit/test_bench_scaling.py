"""What the scaling benchmarks make of a watch's events."""

import asyncio

import pytest

from bench.case import BenchError
from bench.scaling import downs
from bench.scaling.node import stops_of
from bench.scaling.steady import turns
from bench.scaling.watching import Event, Watch


def seen(*events: tuple[float, str, tuple[str, ...]]) -> Watch:
    watch = Watch()
    for at, kind, words in events:
        watch.see(Event(at, kind, words))
    return watch


def test_each_lowering_of_replicas_counts_once_and_those_at_the_start_do_not() -> None:
    watch = seen(
        (1, "ADDED", ("a", "4")),
        (2, "MODIFIED", ("a", "4")),
        (3, "MODIFIED", ("a", "2")),
        (4, "ADDED", ("b", "-")),
        (5, "MODIFIED", ("a", "2")),
        (6, "MODIFIED", ("a", "-")),
        (7, "MODIFIED", ("b", "1")),
    )
    assert downs.count(watch) == {"a": 2, "b": 0}


def test_a_pod_is_stopped_when_its_deletion_is_told_not_when_it_is_gone() -> None:
    watch = seen(
        (1, "ADDED", ("x", "queue", "-", "-")),
        (2, "MODIFIED", ("x", "queue", "-", "true")),
        (3, "MODIFIED", ("x", "queue", "2026-11-23T14:00:00Z", "true")),
        (9, "DELETED", ("x", "queue", "2026-11-23T14:00:00Z", "-")),
        (4, "ADDED", ("y", "queue", "-", "-")),
        (5, "DELETED", ("y", "queue", "-", "-")),
        (6, "DELETED", ("bare", "-", "-", "true")),
    )
    first, second = stops_of(watch)
    assert (first.uid, first.was_ready) == ("x", True)
    assert (second.uid, second.was_ready) == ("y", False)
    assert second.at - first.at == pytest.approx(2)


@pytest.mark.parametrize(
    ("counts", "found"),
    [([5], 0), ([3, 4, 5], 0), ([4, 5, 4], 1), ([4, 5, 6, 5, 6], 2)],
)
def test_turns_are_changes_of_direction(counts: list[int], found: int) -> None:
    assert turns(counts) == found


async def test_a_watch_finds_what_was_there_and_what_comes_and_fails_when_it_ends() -> None:
    watch = seen((1, "ADDED", ("a", "1")))

    async def first(wanted: str) -> Event:
        return await watch.first(
            lambda each: each.words == ("a", wanted), after=0, seconds=60, what=wanted
        )

    assert (await first("1")).at == 1
    waiting = asyncio.create_task(first("2"))
    await asyncio.sleep(0)
    watch.see(Event(2, "MODIFIED", ("a", "2")))
    assert (await waiting).at == 2
    watch.end()
    with pytest.raises(BenchError, match="ended"):
        await first("3")
