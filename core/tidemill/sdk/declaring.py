"""What may be given to `app.schedule(…)`: its kinds. Its rules are those of every schedule."""

from datetime import datetime
from typing import Any

from tidemill.sdk.definition import TaskDefinition
from tidemill.sdk.options import check, needs, of_kind, retry


def check_schedule(name: Any, task: Any, *given: Any) -> None:
    """Raise ConfigurationError for the first option of the wrong kind.

    `given`: cron, time_zone, ends_at, payload, queue, retry, headers.
    """
    cron, time_zone, ends_at, payload, queue, policy, headers = given
    check("a schedule", [needs("name", name), of_kind("name", name, str, "a text")])
    check(
        f"schedule {name!r}",
        (
            needs("cron", cron),
            of_kind("cron", cron, str, 'a text, such as "0 3 * * *"'),
            needs("task", task),
            of_kind("task", task, (TaskDefinition, str), "a task of the app, or a type's name"),
            needs("time_zone", time_zone),
            of_kind("time_zone", time_zone, str, 'a name, such as "Europe/Berlin"'),
            of_kind("ends_at", ends_at, datetime, "a datetime with a time zone"),
            of_kind("payload", payload, dict, "a dict"),
            of_kind("queue", queue, str, "a queue's name"),
            *retry(policy),
            of_kind("headers", headers, dict, "a dict of texts"),
        ),
    )
