"""The doctor's judgements: pure functions of rows, at and around their bounds."""

import re
from pathlib import Path
from typing import Any

import pytest

from tidemill.doctor import CHECKS, Finding, Level, holders, queue, server, tables
from tidemill.doctor.finding import Report, duration, listed, literal, plural, quoted, size

GIB = 1 << 30


def levels(found: list[Finding]) -> list[Level]:
    return [each.level for each in found]


def test_figures_in_words() -> None:
    assert [duration(each) for each in (0.0005, 0.25, 1, 59.6, 3700, 90061)] == [
        *("0.5 ms", "250.0 ms", "1 s", "1 min", "1 h 1 min", "1 d 1 h"),
    ]
    assert [size(each) for each in (5, 2048, 3 << 20, 1.5 * GIB, 2 << 40)] == [
        *("5 B", "2.0 KiB", "3.0 MiB", "1.5 GiB", "2.0 TiB"),
    ]
    assert (plural(1, "index", "indexes"), plural(2000, "task")) == ("1 index", "2,000 tasks")
    assert listed(["a", "b", "c"], 2) == "a, b and 1 more"
    assert [quoted(each) for each in ("app", "My App", 'a"b')] == ["app", '"My App"', '"a""b"']
    assert literal("it's") == "'it''s'"


def test_the_level_of_a_report_is_the_worst() -> None:
    found = tuple(Finding("c", level, "") for level in (Level.NOTE, Level.PROBLEM, Level.OK))
    assert Report("", found).level is Level.PROBLEM
    assert Report("", found[:1]).level is Level.NOTE
    assert Report("", found).count(Level.OK) == 1


def session(**given: Any) -> dict[str, Any]:
    usual = {"pid": 7, "application_name": "app", "usename": "u", "state": "active"}
    return usual | {"seconds": 0.0, "transactions": 0} | given


@pytest.mark.parametrize(
    ("row", "level"),
    [
        (session(seconds=59.0, transactions=10**9), Level.OK),
        (session(seconds=60.0), Level.WARNING),
        (session(seconds=1800.0), Level.PROBLEM),
        (session(seconds=None, transactions=999_999, state=None), Level.OK),
        (session(seconds=None, transactions=1_000_000, state=None), Level.WARNING),
        (session(seconds=None, transactions=50_000_000, usename=None), Level.PROBLEM),
    ],
)
def test_transactions(row: dict[str, Any], level: Level) -> None:
    assert levels(holders.transactions([row])) == [level]


def slot(**given: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {"slot_name": "s", "slot_type": "logical", "active": True}
    usual |= {"wal_status": "reserved", "wal_bytes": 0, "transactions": None}
    return usual | {"catalog_transactions": None} | given


@pytest.mark.parametrize(
    ("row", "level"),
    [
        (slot(), Level.OK),
        (slot(active=False, wal_bytes=None), Level.NOTE),
        (slot(wal_bytes=GIB), Level.WARNING),
        (slot(wal_bytes=10 * GIB), Level.PROBLEM),
        (slot(wal_status="lost"), Level.PROBLEM),
        (slot(catalog_transactions=1_000_000), Level.WARNING),
        (slot(transactions=50_000_000), Level.PROBLEM),
    ],
)
def test_slots(row: dict[str, Any], level: Level) -> None:
    assert levels(holders.slots([row])) == [level]


@pytest.mark.parametrize(
    ("transactions", "level"),
    [(None, Level.OK), (1_000_000, Level.WARNING), (50_000_000, Level.PROBLEM)],
)
def test_standbys(transactions: int | None, level: Level) -> None:
    row = {"pid": 1, "application_name": "replica", "transactions": transactions}
    assert levels(holders.standbys([row])) == [level]


@pytest.mark.parametrize(
    ("age", "level"), [(10, Level.OK), (10**9, Level.WARNING), (19 * 10**8, Level.PROBLEM)]
)
def test_wraparound(age: int, level: Level) -> None:
    assert levels(holders.wraparound([{"age": age}])) == [level]


@pytest.mark.parametrize(
    ("number", "recovery", "level"),
    [
        (130_020, False, Level.PROBLEM),
        (140_000, False, Level.OK),
        (180_004, False, Level.OK),
        (190_000, False, Level.NOTE),
        (170_000, True, Level.PROBLEM),
    ],
)
def test_versions(number: int, recovery: bool, level: Level) -> None:
    row = {"version_num": number, "version": "x", "in_recovery": recovery}
    assert levels(server.version([row])) == [level]


SOUND = {
    **dict.fromkeys(("fsync", "full_page_writes", "autovacuum", "track_counts"), "on"),
    "synchronous_commit": "on",
    "track_activities": "on",
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "login": "app",
    "database": "my tasks",
    "sources": [],
}


def test_sound_settings() -> None:
    assert levels(server.settings([SOUND])) == [Level.OK]


@pytest.mark.parametrize(
    ("changed", "level"),
    [
        ({"fsync": "off"}, Level.PROBLEM),
        ({"full_page_writes": "off"}, Level.PROBLEM),
        ({"synchronous_commit": "off"}, Level.PROBLEM),
        ({"autovacuum": "off"}, Level.PROBLEM),
        ({"track_counts": "off"}, Level.PROBLEM),
        ({"track_activities": "off"}, Level.NOTE),
        ({"default_transaction_isolation": "serializable"}, Level.PROBLEM),
        ({"default_transaction_read_only": "on"}, Level.PROBLEM),
    ],
)
def test_settings_that_hurt(changed: dict[str, Any], level: Level) -> None:
    [found] = server.settings([SOUND | changed])
    assert found.level is level
    assert found.advice


@pytest.mark.parametrize(
    ("source", "advice"),
    [
        ("database", 'ALTER DATABASE "my tasks" RESET synchronous_commit'),
        ("user", "ALTER ROLE app RESET synchronous_commit"),
        ("database user", 'ALTER ROLE app IN DATABASE "my tasks" RESET synchronous_commit'),
        ("command line", "take synchronous_commit off the server's command line and restart it"),
        ("configuration file", "ALTER SYSTEM RESET synchronous_commit; SELECT pg_reload_conf()"),
    ],
)
def test_the_advice_undoes_a_setting_where_it_was_made(source: str, advice: str) -> None:
    row = SOUND | {"synchronous_commit": "off", "sources": [f"synchronous_commit={source}"]}
    assert [each.advice for each in server.settings([row])] == [advice]


def applications(*totals: int, login_limit: int | None = None) -> list[dict[str, Any]]:
    limits = {"total_limit": 100, "of_database_limit": None, "of_login_limit": login_limit}
    return [
        {"application_name": f"a{n}", "total": n, "of_database": n, "of_login": n, **limits}
        for n in totals
    ]


@pytest.mark.parametrize(
    ("rows", "level", "free"),
    [
        (applications(60, 30), Level.OK, 10),
        (applications(91), Level.WARNING, 9),
        (applications(98), Level.PROBLEM, 2),
        (applications(20, login_limit=21), Level.PROBLEM, 1),
        (applications(20, login_limit=25), Level.OK, 5),
    ],
)
def test_connections(rows: list[dict[str, Any]], level: Level, free: int) -> None:
    [found] = server.connections(rows)
    assert (found.level, found.figures["free"]) == (level, free)


@pytest.mark.parametrize(
    ("offset", "round_trip", "level"),
    [(0.9, 0.1, Level.OK), (-0.9, 0.1, Level.OK), (3, 4, Level.OK), (-5, 0.1, Level.NOTE)],
)
def test_a_clock_is_judged_within_what_the_round_trip_leaves_open(
    offset: float, round_trip: float, level: Level
) -> None:
    [found] = server.clock(offset, round_trip)
    assert found.level is level
    assert ("ahead of" if offset > 0 else "behind") in found.finding


def table(**given: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {"name": "ready", "live": 0, "dead": 0, "vacuumed_seconds": None}
    usual |= {"heap_bytes": 0, "index_bytes": 0, "naptime_seconds": 60}
    return usual | {"vacuum_threshold": 10_000.0, "vacuum_scale_factor": 0.0} | given


@pytest.mark.parametrize(
    ("row", "level"),
    [
        (table(dead=49_999), Level.OK),
        (table(dead=50_000, vacuumed_seconds=90.0), Level.WARNING),
        (table(dead=500_000), Level.PROBLEM),
        (table(dead=500_000, vacuumed_seconds=600.0), Level.PROBLEM),
        (table(dead=500_000, vacuumed_seconds=599.0), Level.WARNING),
        (table(dead=500_000, live=10**6, vacuum_scale_factor=0.2), Level.OK),
        (table(index_bytes=GIB, live=1000), Level.NOTE),
        (table(index_bytes=GIB, live=1001), Level.OK),
    ],
)
def test_dead_rows(row: dict[str, Any], level: Level) -> None:
    assert levels(tables.dead_rows([row])) == [level]


def test_at_a_hundred_thousand_rows_counting_ends() -> None:
    [found] = queue.statistics([{"deltas": queue.MANY_DELTAS, "oldest_seconds": 61.0}])
    assert found.finding.startswith("at least 100,000 rows of statistics")
    row = {"type": "t", "tasks": queue.MANY_DEAD_LETTERS, "crashed": 0, "seconds": None}
    [found] = queue.dead_letters([row])
    assert found.finding == "at least 100,000 dead letters (t 100,000)"


def test_the_command_line_page_tells_every_check_in_order() -> None:
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
    section = page.partition("## `tidemill doctor`")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == [each.name for each in CHECKS]


def waiting(**given: Any) -> dict[str, Any]:
    usual = {"name": "q", "paused": False, "owner_paused": False, "owner_name": None}
    return usual | {"waiting": True, "oldest_seconds": 60.0, "served": False} | given


@pytest.mark.parametrize(
    ("rows", "levels_found", "advice"),
    [
        ([waiting(oldest_seconds=59.0)], [Level.OK], ""),
        ([waiting(served=True)], [Level.OK], ""),
        ([waiting(waiting=False, oldest_seconds=None)], [Level.OK], ""),
        ([waiting()] * 3, [Level.WARNING], "(all queues)"),
        ([waiting(owner_paused=True, owner_name="ns/n")], [Level.NOTE], "of the TaskQueue ns/n"),
        ([waiting(paused=True, served=True), waiting()], [Level.WARNING, Level.NOTE], "--queue q"),
    ],
)
def test_queues(rows: list[dict[str, Any]], levels_found: list[Level], advice: str) -> None:
    found = queue.queues(rows)
    assert levels(found) == levels_found
    assert found[0].advice.endswith(advice)
