"""How many connections an API process holds: what is asked for, or what open files allow."""

import logging
import resource

import pytest

from tidemill_api.connections import Room, Rooms, raise_file_limit

ENDLESS = resource.RLIM_INFINITY
Limits = tuple[int, int]


def places(room: Room) -> int:
    taken = 0
    while taken < 100_000 and room.enter():
        taken += 1
    return taken


@pytest.mark.parametrize(
    ("files", "asked", "found"),
    [(ENDLESS, 500, 500), (1024, 500, 500), (1024, 5000, 824), (64, 500, 10)],
)
def test_open_files_bound_the_connections(
    monkeypatch: pytest.MonkeyPatch, files: int, asked: int, found: int
) -> None:
    def limits(_kind: int) -> Limits:
        return files, files

    monkeypatch.setattr(resource, "getrlimit", limits)
    assert places(Rooms(asked).served) == found


def test_who_leaves_makes_room() -> None:
    room = Room(2)
    assert [room.enter() for _ in range(3)] == [True, True, False]
    room.leave()
    assert [room.enter() for _ in range(2)] == [True, False]


@pytest.mark.parametrize(
    ("found", "made"),
    [
        ((256, ENDLESS), (1200, ENDLESS)),
        ((256, 4096), (1200, 4096)),
        ((256, 700), (700, 700)),
        ((2000, 4096), None),
        ((ENDLESS, ENDLESS), None),
    ],
)
def test_the_limit_of_open_files_is_raised_as_far_as_it_may_be(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    found: Limits,
    made: Limits | None,
) -> None:
    done: list[Limits] = []

    def limits(_kind: int) -> Limits:
        return found

    def limit(_kind: int, asked: Limits) -> None:
        done.append(asked)

    monkeypatch.setattr(resource, "getrlimit", limits)
    monkeypatch.setattr(resource, "setrlimit", limit)
    with caplog.at_level(logging.INFO):
        raise_file_limit(1000)
    assert done == ([made] if made else [])
    assert ("leaves room for 500 connections" in caplog.text) is (found == (256, 700))
