"""The command line: help that teaches, one line an error, exit codes that scripts can read."""

import subprocess
import sys

import pytest

from tidemill import __version__
from tidemill.errors import (
    ConfigurationError,
    DatabaseRefused,
    DatabaseUnavailable,
    SchemaMismatch,
    TaskNotFound,
    TidemillError,
)
from tidemill_cli.__main__ import COMMANDS, Exit, exit_code_of, run

Captured = pytest.CaptureFixture[str]


def test_without_a_command_it_shows_what_there_is(capsys: Captured) -> None:
    assert run([]) == Exit.USAGE
    shown = capsys.readouterr().err
    for name, entry in COMMANDS.items():
        assert f"  {name} " in shown
        assert entry.summary in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str, capsys: Captured) -> None:
    arguments = [name, "apply", "--help"] if name == "types" else [name, "--help"]
    assert run(arguments) == Exit.OK
    shown = capsys.readouterr().out
    assert "Example" in shown
    assert f"tidemill {name}" in shown


def test_version(capsys: Captured) -> None:
    assert run(["--version"]) == Exit.OK
    assert __version__ in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no-such"], "No such command 'no-such'"),
        (["up", "--app"], "Option '--app' requires an argument"),
        (["up", "--no-such"], "No such option"),
        (["up", "--app", "x:y", "--port", "70000"], "'--port': must be 1 to 65535 (got 70000)"),
        (["up", "--app", "x:y", "--workers", "many"], "'--workers': must be a whole number"),
        (["worker", "--log-format", "xml"], "'--log-format': must be one of auto, text, json"),
        (["migrate", "--to", "1", "--status"], "--to and --status exclude each other"),
        (["migrate"], "TIDEMILL_DATABASE_URL must be set"),
        (["up"], "an app must be given"),
        (["worker"], "an app must be given"),
        (["types", "apply"], "an app must be given"),
        (["up", "--app", "no_such_module_at_all:app"], "no_such_module_at_all"),
        (["up", "--app", "non sense"], "module:attribute"),
    ],
)
def test_a_fault_is_one_line_on_stderr_and_exit_code_2(
    arguments: list[str], said: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("TIDEMILL_APP", "TIDEMILL_DATABASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    assert run(arguments) == Exit.USAGE
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("tidemill: ")
    assert shown.err.count("\n") == 1
    assert said in shown.err


def test_a_variable_that_cannot_work_is_named(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEMILL_CONCURRENCY", "0")
    assert run(["config"]) == Exit.USAGE
    assert "TIDEMILL_CONCURRENCY must be 1 to 10000 (got 0)" in capsys.readouterr().err


def test_an_option_wins_over_its_variable(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEMILL_DATABASE_URL", "mysql://one")
    monkeypatch.setenv("TIDEMILL_DATABASE_WAIT_SECONDS", "0")
    assert run(["migrate", "--database-url", "postgresql://me:x@127.0.0.1:1/t"]) == Exit.DATABASE
    assert "the database cannot be used" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("x"), 2),
        (DatabaseUnavailable("x"), 3),
        (DatabaseRefused("x"), 3),
        (SchemaMismatch("x"), 4),
        (TaskNotFound("x"), 1),
        (TidemillError("x"), 1),
    ],
)
def test_the_kind_of_error_is_the_exit_code(error: TidemillError, code: int) -> None:
    assert exit_code_of(error) == code


def test_help_does_not_wait_for_the_components() -> None:
    """`tidemill --help` and shell completion must be quick: nothing heavy is imported."""
    script = (
        "import sys; from tidemill_cli.__main__ import run; run(['--help']); "
        "print([n for n in ('kopf', 'kubernetes', 'aiohttp', 'asyncpg') if n in sys.modules])"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout
    assert told.splitlines()[-1] == "[]"


def test_config_in_json_is_every_setting(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMILL_DATABASE_URL", "postgresql://me:hidden@db/tasks")
    assert run(["config", "-o", "json"]) == Exit.OK
    shown = capsys.readouterr().out
    assert '"TIDEMILL_DATABASE_URL": "postgresql://me:***@db/tasks"' in shown
    assert "hidden" not in shown
