"""What `tidemill up` says when everything runs: what to try, and how other processes get in."""

import shlex
from collections.abc import Sequence

from tidemill.models import TaskType
from tidemill.setting import variable_of
from tidemill_cli.local import cluster, example
from tidemill_cli.local.postgres import HOST, EmbeddedPostgres


def banner(
    address: str, types: Sequence[TaskType], own: EmbeddedPostgres | None, *, guarded: bool = False
) -> str:
    """Return the text; `own` is the server that was started, if it was not somebody else's.

    `guarded`: the API asks for tokens.
    """
    token = ', with -H "Authorization: Bearer $TOKEN"' if guarded else ""
    kept = f"The data stays in {own.data_dir}. " if own else ""
    return (
        f"\nTidemill is ready: {address}\n\nTry{token}:\n"
        f"  {example.curl(address, types)}\n"
        f"  curl -s {address}/api/stats\n\n"
        f"{_export(own) if own else ''}"
        f"{kept}Ctrl-C stops everything.\n"
    )


def environment(own: EmbeddedPostgres) -> dict[str, str]:
    """Return the variables with which other processes find the server; the password is a file."""
    address = f"postgresql://{cluster.SUPERUSER}@{HOST}:{own.port}/{cluster.DATABASE}"
    return {
        variable_of("database_url"): address,
        variable_of("database_password_file"): str(own.data_dir / "password"),
    }


def _export(own: EmbeddedPostgres) -> str:
    lines = [f"{name}={shlex.quote(value)}" for name, value in environment(own).items()]
    return (
        "From Python, and for the other commands:\n  export "
        + " \\\n         ".join(lines)
        + "\n\n"
    )
