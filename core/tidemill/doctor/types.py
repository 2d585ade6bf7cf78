"""Task types that workers lack: their tasks go back and forth, and are dead letters in the end."""

from tidemill.doctor.finding import Finding, Level, Row, Rows, duration, listed, ok, plural

DEPLOYING_SECONDS = 60.0
"""So long a rolling deploy may take: until then a worker that lacks a type is no warning."""


def types(rows: Rows) -> list[Finding]:
    """Judge types whose waiting tasks have met workers without a handler for them."""
    finding = "no task waits that a worker without its type has sent back"
    return [_stranded(row) for row in rows] or ok("types", finding)


def _stranded(row: Row) -> Finding:
    count, kind = row["tasks"], row["type"]
    return Finding(
        "types",
        Level.WARNING if row["seconds"] >= DEPLOYING_SECONDS else Level.NOTE,
        f"{plural(count, 'task')} of the type {kind} {'waits' if count == 1 else 'wait'} in "
        f"{listed(row['queues'])}: workers without a handler for it sent them back "
        f"{plural(row['times'], 'time')}, first {duration(row['seconds'])} ago; "
        "an hour after its first return a task is a dead letter",
        _advice(row),
        {name: row[name] for name in ("type", "app", "tasks", "times", "seconds", "queues")},
    )


def _advice(row: Row) -> str:
    if row["registered"]:
        app = row["app"] or "the app that has it"
        return (
            f"run a worker of it: tidemill worker {app}; where workers of several apps share a "
            "queue, give each app queues of its own (--queue), or such tasks come late"
        )
    return (
        "no app has registered this type: deploy the worker that has it, or, if the name is "
        f'misspelt: POST /api/tasks/cancel {{"filter": {{"type": "{row["type"]}"}}}}'
    )
