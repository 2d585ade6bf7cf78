"""Helpers for tests of tasks, from the quickest to the most real.

    run_task     one handler, here and now: no database
    capture      what was enqueued, noted down: no database
    TestWorker   a real database, a real worker, a clock that is moved by hand

`tidemill_worker.testing.fixtures` has pytest fixtures that make databases. None of this needs
pytest itself.
"""

from tidemill_worker.testing.captured import Captured, NotStored, capture
from tidemill_worker.testing.clock import Clock
from tidemill_worker.testing.databases import Databases
from tidemill_worker.testing.inline import Link, run_task
from tidemill_worker.testing.outcomes import Ran
from tidemill_worker.testing.worker import TaskFailures, TestWorker

__all__ = [
    "Captured",
    "Clock",
    "Databases",
    "Link",
    "NotStored",
    "Ran",
    "TaskFailures",
    "TestWorker",
    "capture",
    "run_task",
]
