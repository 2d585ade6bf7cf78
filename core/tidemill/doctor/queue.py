"""The queue's own state: statistics, workers, leases, dead letters, queues that nobody serves."""

from tidemill.doctor.finding import Finding, Level, Row, Rows, duration, listed, ok, plural

UNFOLDED_WARNING, UNFOLDED_PROBLEM = 60.0, 3600.0
UNSEEN_SECONDS = 60.0
"""A worker that was not seen for so long is dead or hangs; heartbeats come every few seconds."""
UNRECOVERED_SECONDS = 30.0
UNSERVED_SECONDS = 60.0
LATE_SECONDS = 60.0
MANY_DELTAS = 100_000
MANY_DEAD_LETTERS = 100_000
"""Up to so many rows are counted."""


def statistics(rows: Rows) -> list[Finding]:
    """Judge whether appended statistics are folded."""
    row = rows[0]
    count, oldest = row["deltas"], row["oldest_seconds"] or 0.0
    more = "at least " if count >= MANY_DELTAS else ""
    figures = {"deltas": count, "oldest_seconds": oldest}
    if oldest < UNFOLDED_WARNING:
        finding = f"{plural(count, 'row')} of statistics to fold, the oldest {duration(oldest)} old"
        return ok("statistics", finding, **figures)
    return [
        Finding(
            "statistics",
            Level.PROBLEM if oldest >= UNFOLDED_PROBLEM else Level.WARNING,
            f"{more}{plural(count, 'row')} of statistics are not folded, the oldest "
            f"{duration(oldest)} old: figures stay exact, but each reading of them gets slower",
            "run an API or worker process with TIDEMILL_FOLD_SECONDS above 0 (5 by default)",
            figures,
        )
    ]


def workers(rows: Rows) -> list[Finding]:
    """Judge the registered workers that have not said goodbye."""
    alive = [row for row in rows if row["seconds"] < UNSEEN_SECONDS]
    lost = [row for row in rows if row["seconds"] >= UNSEEN_SECONDS]
    found = [_lost(lost)] if lost else []
    if not alive:
        found.append(
            Finding(
                "workers",
                Level.NOTE,
                "no worker is running",
                "tidemill worker package.module:app",
                {"alive": 0},
            )
        )
    draining = sum(row["draining"] for row in alive)
    cordoned = sum(row["cordoned"] for row in alive)
    finding = f"{plural(len(alive), 'worker')}, {draining} draining, {cordoned} cordoned"
    return found or ok(
        "workers", finding, alive=len(alive), draining=draining, cordoned=cordoned, lost=0
    )


def _lost(lost: Rows) -> Finding:
    leases = sum(row["leases"] for row in lost)
    names = [
        f"{row['name']} on {row['hostname']}, pid {row['pid']}, {duration(row['seconds'])} ago"
        for row in lost
    ]
    return Finding(
        "workers",
        Level.WARNING if leases else Level.NOTE,
        f"{plural(len(lost), 'worker')} with {plural(leases, 'lease')} went without a word "
        f"(last seen: {listed(names, 3)})",
        "nothing to do where their leases have run out: their tasks run again. One that still "
        "lives has lost the database: look at its log",
        {"lost": len(lost), "leases": leases},
    )


def leases(rows: Rows) -> list[Finding]:
    """Judge leases that have run out and were not taken back."""
    row = rows[0]
    count, oldest = row["expired"], row["oldest_seconds"] or 0.0
    figures = {"expired": count, "oldest_seconds": oldest}
    if not count:
        return ok("leases", "no lease has run out without being taken back", **figures)
    return [
        Finding(
            "leases",
            Level.PROBLEM,
            f"{plural(count, 'lease')} ran out and nobody took them back, "
            f"the oldest {duration(oldest)} ago: these tasks wait",
            "run an API or worker process with TIDEMILL_RECOVER_SECONDS above 0 (5 by default); "
            "look for errors of its recoverer in the log",
            figures,
        )
    ]


def bodies(rows: Rows) -> list[Finding]:
    """Judge tasks whose body is gone; a sample of each place is looked at."""
    looked = sum(row["looked"] for row in rows)
    missing = {row["place"]: row["missing"] for row in rows if row["missing"]}
    if not missing:
        finding = f"the bodies of {plural(looked, 'live task')} that were looked at are there"
        return ok("bodies", finding, looked=looked)
    told = listed([f"{count} in {place}" for place, count in missing.items()])
    return [
        Finding(
            "bodies",
            Level.PROBLEM,
            f"of {plural(looked, 'live task')} that were looked at "
            f"{plural(sum(missing.values()), 'has', 'have')} no body any more ({told})",
            "somebody deleted rows or a partition of tidemill.tasks by hand, or restored a part "
            "of a backup; a claim makes dead letters of them",
            {"looked": looked, "missing": missing},
        )
    ]


def dead_letters(rows: Rows) -> list[Finding]:
    """Judge tasks that failed for good, and the types that take their workers down."""
    total = sum(row["tasks"] for row in rows)
    poison = [row for row in rows if row["crashed"]]
    found = [_poison(row) for row in poison]
    if not total:
        return ok("dead_letters", "no dead letters", tasks=0)
    names = [f"{row['type']} {row['tasks']:,}" for row in rows]
    more = "at least " if total >= MANY_DEAD_LETTERS else ""
    found.append(
        Finding(
            "dead_letters",
            Level.NOTE,
            f"{more}{plural(total, 'dead letter')} ({listed(names)})",
            "look why: GET /api/dead-letters; then POST /api/dead-letters/replay or …/purge",
            {"tasks": total, "by_type": {row["type"]: row["tasks"] for row in rows}},
        )
    )
    return found


def _poison(row: Row) -> Finding:
    return Finding(
        "dead_letters",
        Level.WARNING,
        f"{plural(row['crashed'], 'task')} of the type {row['type']} crashed or hung workers until "
        f"given up, last {duration(row['seconds'])} ago",
        "look into the workers' logs at that time (memory, native code, a hung handler); until it "
        f"is mended pause the type: POST /api/task-types/{row['type']}/pause",
        {"type": row["type"], "tasks": row["crashed"]},
    )


def queues(rows: Rows) -> list[Finding]:
    """Judge queues whose tasks wait: those that nobody serves, and those that are paused."""
    late = [row for row in rows if row["waiting"] and row["oldest_seconds"] >= UNSERVED_SECONDS]
    paused = [row for row in late if row["paused"] or row["owner_paused"]]
    running = [row for row in late if not (row["paused"] or row["owner_paused"])]
    unserved = [row for row in running if not row["served"]]
    found = [_unserved(unserved)] if unserved else []
    found += [_paused(paused)] if paused else []
    waiting = sum(row["waiting"] for row in rows)
    finding = f"{plural(len(rows), 'queue')}, none waits unserved"
    return found or ok("queues", finding, waiting=waiting)


def _unserved(rows: Rows) -> Finding:
    worker = "tidemill worker package.module:app"
    return Finding(
        "queues",
        Level.WARNING,
        f"no worker serves {plural(len(rows), 'queue')} where tasks wait: {_waits(rows)}",
        f"{worker} --queue {rows[0]['name']}" if len(rows) == 1 else f"{worker} (all queues)",
        {"unserved": {row["name"]: row["oldest_seconds"] for row in rows}},
    )


def _paused(rows: Rows) -> Finding:
    owners = sorted({row["owner_name"] for row in rows if row["owner_paused"]})
    by_owner = f", or spec.paused of the TaskQueue {listed(owners)}" if owners else ""
    return Finding(
        "queues",
        Level.NOTE,
        f"tasks wait in {plural(len(rows), 'paused queue')}: {_waits(rows)}",
        f"POST /api/queues/{rows[0]['name']}/resume{by_owner}",
        {"paused": {row["name"]: row["oldest_seconds"] for row in rows}},
    )


def _waits(rows: Rows) -> str:
    return listed([f"{row['name']} for {duration(row['oldest_seconds'])}" for row in rows])


def schedules(rows: Rows) -> list[Finding]:
    """Judge cron schedules: those that nobody fires, and those that failed to."""
    late = [row for row in rows if row["late"]]
    found = [_late(late)] if late else []
    found += [_failing(row) for row in rows if row["error"]]
    return found or ok("schedules", "no schedule is late, none failed")


def _late(rows: Rows) -> Finding:
    told = listed([f"{row['name']} by {duration(row['late_seconds'])}" for row in rows])
    return Finding(
        "schedules",
        Level.WARNING,
        f"{plural(len(rows), 'schedule')} late: {told}",
        "run an API or worker process with TIDEMILL_SCHEDULE_SECONDS above 0 (1 by default)",
        {"late": {row["name"]: row["late_seconds"] for row in rows}},
    )


def _failing(row: Row) -> Finding:
    return Finding(
        "schedules",
        Level.WARNING,
        f"the latest slot of the schedule {row['name']} fired no task: {row['error']}",
        f"mend what it says: PUT /api/schedules/{row['name']}",
        {"schedule": row["name"], "error": row["error"]},
    )
