"""A look at a database's health: `examine(settings)` reads, judges and changes nothing.

Readings are statements (`sql/queries/doctor_*.sql`), each in a short read-only transaction of its
own; judgements are pure functions of their rows, by subject:

    holders.py     who holds back vacuum
    tables.py      dead rows, storage settings, partitions, indexes
    server.py      version, settings, login, connections, clock
    producers.py   what SQL producers are held to, beside the API's settings
    queue.py       statistics, workers, leases, bodies, dead letters, queues, schedules
    types.py       types that workers lack
    probes.py      what takes more than a statement: schema, pooler, listener, clock

A check that cannot be made is a finding, too. Figures are of the moment; nothing is remembered.
"""

from tidemill.doctor.examination import CHECKS, examine
from tidemill.doctor.finding import Finding, Level, Report

__all__ = ["CHECKS", "Finding", "Level", "Report", "examine"]
