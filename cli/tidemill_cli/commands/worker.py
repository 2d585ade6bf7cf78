"""`tidemill worker`: a worker process."""

import sys
from pathlib import Path

import click

from tidemill import logs
from tidemill.settings import Settings
from tidemill_cli.local import reload as reloading
from tidemill_cli.options import DATABASE, LOGS, naming_app, with_settings
from tidemill_worker.process import run


@click.command(
    name="worker",
    epilog="""\b
Examples:
  tidemill worker examples.demo:app
  tidemill worker myapp.tasks:app --queue emails --queue default=2 --concurrency 50
  tidemill worker myapp.tasks:app --burst
  tidemill worker myapp.tasks:app --reload
""",
)
@click.argument("named", metavar="[APP]", required=False)
@with_settings(
    "app",
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
@click.option(
    "--reload", is_flag=True, help="Start again when a Python file below this folder changes."
)
def command(settings: Settings, named: str | None, *, burst: bool, reload: bool) -> int:
    """Run the tasks of APP until SIGTERM or Ctrl-C.

    APP is package.module:attribute; a module or its file alone means its `app`.

    Told to stop, it claims nothing more, lets running tasks finish for --drain-seconds, and gives
    back the rest without charging a retry.
    """
    chosen = naming_app(settings, named)
    if burst and reload:
        raise click.UsageError("--burst and --reload exclude each other")
    logs.configure(chosen, component="worker")
    if reload:
        return reloading.run(sys.argv[1:], Path.cwd())
    return run(chosen, burst=burst)
