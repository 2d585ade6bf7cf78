"""A child of `tidemill api --processes N`: `python -m tidemill_cli.fleet.child FILE...`.

The files are sockets that listen already. It ends with the exit codes of `tidemill api`.
"""

import os
import socket
import sys

import click

from tidemill import garbage, logs
from tidemill.errors import TidemillError
from tidemill.settings import Settings
from tidemill_api import loops
from tidemill_api.connections import raise_file_limit
from tidemill_api.server import serve
from tidemill_cli.__main__ import exit_code_of
from tidemill_cli.fleet.member import READY
from tidemill_cli.fleet.told import told_twice


def main() -> int:
    """Serve the inherited sockets until told to stop; return the exit code."""
    told = int(os.environ.pop(READY))
    settings = Settings.load(os.environ)
    logs.configure(settings, component="api")
    raise_file_limit(settings.api_connections)
    garbage.spare()
    sockets = [socket.socket(fileno=int(each)) for each in sys.argv[1:]]
    try:
        loops.run(_serve(settings, sockets, told))
    except TidemillError as error:
        click.echo(f"tidemill: {' '.join(str(error).split())}", err=True)
        return exit_code_of(error)
    return 0


async def _serve(settings: Settings, sockets: list[socket.socket], told: int) -> None:
    def ready(_port: int) -> None:
        os.write(told, b"ready\n")
        os.close(told)

    with told_twice() as (stop, hurry):
        await serve(settings, stop=stop, hurry=hurry, ready=ready, sockets=sockets)


if __name__ == "__main__":
    sys.exit(main())
