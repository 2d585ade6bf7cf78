"""The rules of a schedule: its own, its times' and its task's. A pure function."""

import re
from typing import Final

from tidemill import cron
from tidemill.errors import Fault
from tidemill.schedules import MISSED, NewSchedule, schedule_name_pattern
from tidemill.store import rules

_NAME: Final = re.compile(schedule_name_pattern)
_TASK: Final = "tasks[0]."


def faults(said: NewSchedule) -> list[Fault]:
    """Return every rule that the schedule breaks, by field."""
    found: list[Fault] = []
    if not _NAME.fullmatch(said.name):
        rule = "must be a name of at most 200 letters, digits and _.:-"
        found.append(Fault("name", rule, said.name))
    found += cron.faults(said.cron, said.time_zone)
    if said.missed not in MISSED:
        found.append(Fault("missed", f"must be one of {', '.join(MISSED)}", said.missed))
    if said.ends_at is not None and said.ends_at.tzinfo is None:
        found.append(Fault("ends_at", "must have a time zone", said.ends_at.isoformat()))
    for each in rules.faults([said.task()], [], rules.MAX_PAYLOAD_BYTES):
        field = each.field.removeprefix(_TASK)
        if field != "name":  # the task's is the schedule's
            found.append(Fault(field, each.rule, each.value))
    return found
