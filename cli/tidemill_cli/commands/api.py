"""`tidemill api`: the HTTP API as a process."""

import click

from tidemill import garbage, logs
from tidemill.settings import Settings
from tidemill_api import loops
from tidemill_api.connections import raise_file_limit
from tidemill_api.server import serve
from tidemill_cli.fleet import processes
from tidemill_cli.fleet.told import told_twice
from tidemill_cli.options import DATABASE, LOGS, with_settings


@click.command(
    name="api",
    epilog="""\b
Examples:
  tidemill api --database-url postgresql://app@localhost/tasks
  tidemill api --host 0.0.0.0 --port 8000 --tokens-file tokens.json
  tidemill api --processes 4 --drain-delay-seconds 5
\b
With several processes a parent holds the port and starts those anew that die; each
has its own database_pool_size and connections. /metrics is the sum of all.
""",
)
@with_settings(
    "api_host",
    "api_port",
    "api_processes",
    "api_prefix",
    "api_drain_delay_seconds",
    "api_connections",
    "cors_origins",
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
    """Run the HTTP API until SIGTERM or Ctrl-C.

    What was accepted by then is answered first, within 20 s; a second signal cuts that to a second.
    """
    logs.configure(settings, component="api")
    if settings.api_processes > 1:
        return processes.run(settings)
    raise_file_limit(settings.api_connections)
    garbage.spare()
    loops.run(_serve(settings))
    return 0


async def _serve(settings: Settings) -> None:
    with told_twice() as (stop, hurry):
        await serve(settings, stop=stop, hurry=hurry)
