"""`tidemill up`: everything on this machine."""

import asyncio
import os
import signal
from types import FrameType

import click

from tidemill.app import App, load_app
from tidemill.settings import Settings
from tidemill_cli.local import folders, ports
from tidemill_cli.local.printer import Printer
from tidemill_cli.local.up import Plan, Up, embedded, ignore_signals, settings_with
from tidemill_cli.options import naming_app, with_settings

_INTERRUPTED = 130


@click.command(
    name="up",
    epilog="""\b
Examples:
  tidemill up --app examples.demo:app
  tidemill up --app myapp.tasks:app --port 9000 --workers 4
  tidemill up --app myapp.tasks:app --database-url postgresql://me@localhost/tasks
\b
Workers are scaled as in a cluster, one to as many as the machine has CPUs (2 to 8): each change is
said with its reason, and `tidemill explain default` tells the last one. --workers N: exactly N.
\b
Ctrl-C stops all in order: workers finish what they run, then the API, then Postgres.
A second Ctrl-C stops at once. Every other setting is read from its variable: `tidemill config`.
""",
)
@click.argument("named", metavar="[APP]", required=False)
@with_settings(
    "app",
    "database_url",
    "api_host",
    "api_port",
    "workers",
    "max_workers",
    "queues",
    "concurrency",
    "drain_seconds",
    "data_dir",
    "log_level",
    "log_format",
)
def command(settings: Settings, named: str | None) -> int:
    """Run everything on this machine: Postgres, the API and worker processes with your app.

    APP is package.module:attribute; a module or its file alone means its `app`.

    Without --database-url it runs a Postgres of its own and keeps its data between runs.
    """
    settings = naming_app(settings, named)
    app = load_app(settings.app)
    ports.ensure_free(settings.api_host, settings.api_port)
    _end_like_ctrl_c()
    if settings.database_url:
        return _run(Plan(settings, app, None), Printer())
    return _with_own_postgres(settings, app)


def _with_own_postgres(settings: Settings, app: App) -> int:
    printer = Printer()
    own = embedded(settings, folders.data_dir(settings.data_dir, os.environ))
    printer.line("up", f"starting Postgres in {own.data_dir}")
    try:
        own.start()
        printer.line("up", f"Postgres {own.install} listens on 127.0.0.1:{own.port}")
        return _run(Plan(settings_with(settings, own.url()), app, own), printer)
    finally:
        ignore_signals()  # the shutdown takes a moment, and has an end
        own.stop()


def _run(plan: Plan, printer: Printer) -> int:
    async def running() -> bool:
        return await Up(plan, printer).run()

    return 0 if asyncio.run(running()) else _INTERRUPTED


def _end_like_ctrl_c() -> None:
    """Let SIGTERM and a closed terminal end the start-up as Ctrl-C does: by every `finally`."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise KeyboardInterrupt

    for each in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, interrupt)
