"""The state of our tables: dead rows, storage settings, partitions, indexes."""

from datetime import date, timedelta
from typing import Any, Final

from tidemill.doctor.finding import Finding, Level, Row, Rows, duration, listed, ok, plural, size

DAYS_AHEAD = 7
ROOM = 2
"""Days beyond the longest keep time after which a partition should be gone."""
LAGGING, FAR_BEHIND = 5.0, 50.0
"""Dead rows, as a multiple of what starts autovacuum."""
STALE_NAPS = 10
"""A vacuum within so many naps of autovacuum: it works, and something keeps it from its rows."""
BLOATED = 1 << 28
_MOST_ROWS_OF_AN_EMPTY_TABLE = 1000

STORAGE: Final[dict[str, dict[str, str]]] = {
    "ready": {
        "autovacuum_vacuum_scale_factor": "0",
        "autovacuum_vacuum_threshold": "10000",
        "autovacuum_vacuum_insert_scale_factor": "0",
        "autovacuum_vacuum_insert_threshold": "1000000",
        "autovacuum_analyze_scale_factor": "0",
        "autovacuum_analyze_threshold": "100000",
        "autovacuum_vacuum_cost_delay": "0",
    },
    "scheduled": {
        "autovacuum_vacuum_scale_factor": "0.02",
        "autovacuum_vacuum_threshold": "10000",
        "autovacuum_vacuum_cost_delay": "0",
    },
    "leases": {
        "fillfactor": "80",
        "autovacuum_vacuum_scale_factor": "0",
        "autovacuum_vacuum_threshold": "10000",
        "autovacuum_analyze_scale_factor": "0",
        "autovacuum_analyze_threshold": "100000",
        "autovacuum_vacuum_cost_delay": "0",
    },
    "workers": {"fillfactor": "50"},
    "queue_limits": {"fillfactor": "50"},
    "throughput_deltas": {
        "autovacuum_vacuum_scale_factor": "0",
        "autovacuum_vacuum_threshold": "5000",
        "autovacuum_vacuum_cost_delay": "0",
    },
    "throughput": {"fillfactor": "50"},
}
"""The storage settings that the migrations give to the tables that change all the time."""


def dead_rows(rows: Rows) -> list[Finding]:
    """Judge whether vacuum keeps up on each hot table."""
    found = [each for row in rows if (each := _dead(row) or _bloat(row))]
    dead = sum(row["dead"] for row in rows)
    held = sum(row["heap_bytes"] + row["index_bytes"] for row in rows)
    return found or ok(
        "dead_rows",
        f"vacuum keeps up: {plural(dead, 'dead row')} in {plural(len(rows), 'hot table')} "
        f"({size(held)})",
        dead=dead,
        bytes=held,
        tables={row["name"]: _sizes(row) for row in rows},
    )


def _dead(row: Row) -> Finding | None:
    starts = max(1.0, row["vacuum_threshold"] + row["vacuum_scale_factor"] * max(0, row["live"]))
    if row["dead"] < LAGGING * starts:
        return None
    since, nap = row["vacuumed_seconds"], row["naptime_seconds"]
    lately = since is not None and since < STALE_NAPS * nap
    name, last = row["name"], "never" if since is None else f"{duration(since)} ago"
    return Finding(
        "dead_rows",
        Level.PROBLEM if row["dead"] >= FAR_BEHIND * starts and not lately else Level.WARNING,
        f"tidemill.{name} has {plural(row['dead'], 'dead row')} beside {row['live']:,} live ones; "
        f"autovacuum starts at {starts:,.0f}, the last vacuum was {last}",
        "end what holds back vacuum (transactions, slots, prepared transactions, standbys), then: "
        f"VACUUM (VERBOSE) tidemill.{name}; if nothing does, so many die between two runs: "
        f"ALTER SYSTEM SET autovacuum_naptime = '10s' (now {nap} s); SELECT pg_reload_conf()",
        _sizes(row),
    )


def _bloat(row: Row) -> Finding | None:
    held = row["heap_bytes"] + row["index_bytes"]
    if held < BLOATED or row["live"] > _MOST_ROWS_OF_AN_EMPTY_TABLE:
        return None
    name = row["name"]
    return Finding(
        "dead_rows",
        Level.NOTE,
        f"tidemill.{name} takes {size(held)} ({size(row['index_bytes'])} of it indexes) for "
        f"{plural(row['live'], 'row')}: room of a past backlog, used again by the next one",
        f"to give it back: VACUUM tidemill.{name}; REINDEX TABLE CONCURRENTLY tidemill.{name}",
        _sizes(row),
    )


def _sizes(row: Row) -> dict[str, Any]:
    names = ("name", "live", "dead", "vacuumed_seconds", "heap_bytes", "index_bytes")
    return {"table" if name == "name" else name: row[name] for name in names}


def storage_settings(rows: Rows) -> list[Finding]:
    """Judge whether the hot tables have the storage settings that the migrations gave them."""
    found = [each for row in rows if (each := _changed(row))]
    return found or ok(
        "storage_settings", f"{plural(len(rows), 'hot table')} with the settings of the migrations"
    )


def _changed(row: Row) -> Finding | None:
    wanted = STORAGE[row["name"]]
    has = dict(option.split("=", 1) for option in row["options"])
    if has == wanted:
        return None
    name = f"tidemill.{row['name']}"
    differing = {k: v for k, v in wanted.items() if has.get(k) != v}
    extra = [key for key in has if key not in wanted]
    told = [f"{key} is {has.get(key, 'unset')} instead of {differing[key]}" for key in differing]
    told += [f"{key} is {has[key]}, which the migrations leave unset" for key in extra]
    statements: list[str] = []
    if differing:
        given = ", ".join(f"{key} = {value}" for key, value in differing.items())
        statements.append(f"ALTER TABLE {name} SET ({given})")
    if extra:
        statements.append(f"ALTER TABLE {name} RESET ({', '.join(extra)})")
    return Finding(
        "storage_settings",
        Level.WARNING,
        f"storage settings of {name} were changed: {'; '.join(told)}",
        f"unless you know why, as owner: {'; '.join(statements)}",
        {"table": row["name"], "has": has, "wanted": wanted},
    )


def partitions(rows: Rows) -> list[Finding]:
    """Judge the daily partitions: days that are missing, not attached, or should be gone."""
    row = rows[0]
    found = [*_missing(row), *_detached(row), *_old(row)]
    return found or ok(
        "partitions",
        f"a partition for each day from {row['today']} to "
        f"{row['today'] + timedelta(days=DAYS_AHEAD)}; {plural(len(row['attached']), 'partition')}",
        partitions=len(row["attached"]),
    )


def _missing(row: Row) -> list[Finding]:
    days = [row["today"] + timedelta(days=ahead) for ahead in range(DAYS_AHEAD + 1)]
    parents = ("tasks", "attempts")
    lacking = {day: p for day in days for p in parents if _named(p, day) not in row["attached"]}
    if not lacking:
        return []
    names = [_named(p, d) for d in days for p in parents if _named(p, d) not in row["attached"]]
    first = min(lacking)
    soon = (first - row["today"]).days
    when = {0: "today: every enqueue or end of a task fails", 1: "tomorrow"}.get(
        soon, f"in {soon} days"
    )
    return [
        Finding(
            "partitions",
            Level.PROBLEM if soon <= 1 else Level.WARNING,
            f"{plural(len(names), 'daily partition')} missing, the first {when} ({listed(names)})",
            "SELECT tidemill.ensure_partitions(7); an API or worker process makes them every "
            "TIDEMILL_PARTITION_SECONDS, unless that is 0",
            {"missing": names},
        )
    ]


def _detached(row: Row) -> list[Finding]:
    found: list[Finding] = []
    for name in row["detached"]:
        parent, day = name.split("_")
        keys = "their uuid_floor()" if parent == "tasks" else "midnight UTC"
        found.append(
            Finding(
                "partitions",
                Level.PROBLEM,
                f"tidemill.{name} exists and is no partition of tidemill.{parent}: its rows are "
                "not seen, and the day cannot be made anew",
                f"look what is in it; then DROP TABLE tidemill.{name}, or attach it to "
                f"tidemill.{parent} for {day} with bounds at {keys}",
                {"table": name},
            )
        )
    return found


def _old(row: Row) -> list[Finding]:
    keep = timedelta(seconds=row["keep_seconds"]) + timedelta(days=ROOM)
    old = sorted(name for name in row["attached"] if row["today"] - _day(name) > keep)
    if not old:
        return []
    return [
        Finding(
            "partitions",
            Level.NOTE,
            f"{plural(len(old), 'partition')} older than the longest keep time of "
            f"{duration(row['keep_seconds'])} ({listed(old)}): tasks that still live or are dead "
            "letters keep a day, and so does retention that is off or held up",
            "replay or purge old dead letters; end what holds back vacuum: the same sessions keep "
            "a day from being dropped",
            {"old": old},
        )
    ]


def indexes(rows: Rows) -> list[Finding]:
    """Judge indexes that the planner does not use."""
    found = [
        Finding(
            "indexes",
            Level.PROBLEM,
            f"the index tidemill.{row['name']} is invalid: queries do without it",
            f"as owner: REINDEX INDEX CONCURRENTLY tidemill.{row['name']}",
            {"index": row["name"], "table": row["table"]},
        )
        for row in rows
        if not row["valid"]
    ]
    return found or ok("indexes", f"{plural(len(rows), 'index', 'indexes')}, all valid")


def _named(parent: str, day: date) -> str:
    return f"{parent}_{day:%Y%m%d}"


def _day(name: str) -> date:
    return date.fromisoformat(name.split("_")[1])
