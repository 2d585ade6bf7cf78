"""The `tidemill` command: which commands there are, and how each ending becomes an exit code."""

import sys
from collections.abc import Sequence
from enum import IntEnum
from importlib import import_module
from typing import NamedTuple

import click

from tidemill import __version__
from tidemill.errors import (
    ConfigurationError,
    DatabaseRefused,
    DatabaseUnavailable,
    SchemaMismatch,
    TidemillError,
)


class Exit(IntEnum):
    """Exit codes, as documented in docs/cli.md."""

    OK = 0
    FAILED = 1
    USAGE = 2
    DATABASE = 3
    SCHEMA = 4
    INTERRUPTED = 130


class Entry(NamedTuple):
    """Where a command is, and what it is for. Modules are imported when their command runs."""

    module: str
    summary: str


COMMANDS = {
    "up": Entry("up", "Run everything on this machine: Postgres, API and workers."),
    "api": Entry("api", "Run the HTTP API."),
    "worker": Entry("worker", "Run a worker process."),
    "operator": Entry("run_operator", "Run the Kubernetes operator."),
    "migrate": Entry("migrate", "Bring the database to this version's schema."),
    "types": Entry("task_types", "Register an app's task types."),
    "tokens": Entry("tokens", "Make and revoke tokens for the HTTP API."),
    "doctor": Entry("doctor", "Say what is wrong with the database, and what to do about it."),
    "explain": Entry("explain", "Say how many workers a queue has, and why."),
    "simulate": Entry("simulate", "Play a load through the scaling decision, beside HPA and KEDA."),
    "config": Entry("config", "Show every setting: meaning, value, default, variable."),
}

_EXIT_OF: tuple[tuple[type[TidemillError], Exit], ...] = (
    (ConfigurationError, Exit.USAGE),
    (DatabaseUnavailable, Exit.DATABASE),
    (DatabaseRefused, Exit.DATABASE),
    (SchemaMismatch, Exit.SCHEMA),
)


class Commands(click.Group):
    """Imports a command's module only when it is used, so that `--help` is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which a newcomer needs them."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command, or None."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"tidemill_cli.commands.{COMMANDS[cmd_name].module}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])


@click.command(
    cls=Commands,
    name="tidemill",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
First steps:
  tidemill up --app examples.demo:app     everything on this machine, http://127.0.0.1:8080
  tidemill config                         every setting and its TIDEMILL_* variable
\b
Completion in your shell (bash; also zsh, fish):
  eval "$(_TIDEMILL_COMPLETE=bash_source tidemill)"
\b
Exit codes: 0 done, 1 failed, 2 wrong usage or setting, 3 database unreachable or refusing,
4 the database's schema does not fit, 130 interrupted.
""",
)
@click.version_option(__version__, prog_name="tidemill")
def tidemill() -> None:
    """Tidemill: a task queue for Kubernetes with Postgres as its only broker."""


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; every expected error is one line on stderr.

    What an app raised at its import comes before that line, as its own traceback.
    """
    try:
        ended = tidemill.main(list(arguments), prog_name="tidemill", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return Exit.USAGE
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "tidemill"
        return _fail(f"{error.format_message()} (see `{path} --help`)", Exit.USAGE)
    except click.ClickException as error:
        return _fail(error.format_message(), error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        return _fail("interrupted", Exit.INTERRUPTED)
    except TidemillError as error:
        for note in getattr(error, "__notes__", ()):  # what the user's own code raised
            click.echo(note, err=True)
        return _fail(str(error), exit_code_of(error))
    return ended if isinstance(ended, int) else Exit.OK


def exit_code_of(error: TidemillError) -> Exit:
    """Return the exit code that tells a script what kind of failure this was."""
    return next((code for kind, code in _EXIT_OF if isinstance(error, kind)), Exit.FAILED)


def main() -> None:
    """Run the command line of this process."""
    sys.exit(run(sys.argv[1:]))


def _fail(message: str, code: int) -> int:
    click.echo(f"tidemill: {' '.join(message.split())}", err=True)
    return code


if __name__ == "__main__":
    main()
