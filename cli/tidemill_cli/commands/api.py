"""`tidemill api`: the HTTP API as a process."""

import asyncio
import signal

import click

from tidemill import garbage, logs
from tidemill.settings import Settings
from tidemill_api import loops
from tidemill_api.server import serve
from tidemill_cli.options import DATABASE, LOGS, with_settings


@click.command(
    name="api",
    epilog="""\b
Examples:
  tidemill api --database-url postgresql://app@localhost/tasks
  tidemill api --host 0.0.0.0 --port 8000 --tokens-file tokens.json
""",
)
@with_settings(
    "api_host",
    "api_port",
    "unknown_types",
    "max_payload_bytes",
    "max_batch_tasks",
    "tokens_file",
    "open_metrics",
    *DATABASE,
    "database_pool_size",
    *LOGS,
)
def command(settings: Settings) -> int:
    """Run the HTTP API until SIGTERM or Ctrl-C; requests under way are answered first."""
    logs.configure(settings, component="api")
    garbage.spare()
    loops.run(_serve(settings))
    return 0


async def _serve(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    await serve(settings, stop=stop)
