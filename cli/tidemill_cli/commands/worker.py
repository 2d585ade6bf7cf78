"""`tidemill worker`: a worker process."""

from dataclasses import replace

import click

from tidemill import logs
from tidemill.settings import Settings
from tidemill_cli.options import DATABASE, LOGS, with_settings
from tidemill_worker.process import run


@click.command(
    name="worker",
    epilog="""\b
Examples:
  tidemill worker examples.demo:app
  tidemill worker myapp.tasks:app --queue emails --queue default=2 --concurrency 50
  tidemill worker myapp.tasks:app --burst
""",
)
@click.argument("app", required=False)
@with_settings(
    "queues",
    "queue_order",
    "concurrency",
    "prefetch",
    "lease_seconds",
    "heartbeat_seconds",
    "poll_seconds",
    "drain_seconds",
    "burst_due_seconds",
    "max_tasks",
    "max_memory_mb",
    "max_crashes",
    "probe_host",
    "probe_port",
    *DATABASE,
    "database_pool_size",
    *LOGS,
)
@click.option(
    "--burst", is_flag=True, help="End when nothing is left to do: for Jobs and cron. Exit code 0."
)
def command(settings: Settings, app: str | None, *, burst: bool) -> int:
    """Run the tasks of APP (package.module:attribute; or TIDEMILL_APP) until SIGTERM or Ctrl-C.

    Told to stop, it claims nothing more, lets running tasks finish for --drain-seconds, and gives
    back the rest without charging a retry.
    """
    chosen = replace(settings, app=app or settings.app)
    if not chosen.app:
        raise click.UsageError("APP must be given: package.module:attribute")
    logs.configure(chosen, component="worker")
    return run(chosen, burst=burst)
