"""Variables that look like settings: named at the start of a process, never with their values."""

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tidemill import logs
from tidemill.setting import variable_of
from tidemill.settings import Settings
from tidemill.unheeded import OTHERS, unheeded
from tidemill_cli.options import with_settings

ROOT = Path(__file__).parents[2]
SHIPPED = ("core", "worker", "api", "operator", "cli", "examples", "charts", "deploy", "testbed")


def test_a_misspelt_variable_is_named_with_the_setting_it_looks_like() -> None:
    assert unheeded({"TIDEMILL_CONCURENCY": "50"}) == [
        "TIDEMILL_CONCURENCY is no setting and has no effect: did you mean TIDEMILL_CONCURRENCY?"
    ]


def test_one_that_looks_like_none_is_pointed_to_the_list() -> None:
    assert unheeded({"TIDEMILL_ZEBRA": "1"}) == [
        "TIDEMILL_ZEBRA is no setting and has no effect (`tidemill config` lists all settings)"
    ]


def test_a_value_is_never_said() -> None:
    assert "hunter2" not in "".join(unheeded({"TIDEMILL_DATABASE_PASWORD": "hunter2"}))


def test_settings_and_what_kubernetes_and_others_set_are_left_alone() -> None:
    services = ("TIDEMILL_API_SERVICE_HOST", "TIDEMILL_DB_PORT_5432_TCP_ADDR", "TIDEMILL_TEST_X")
    names = [*services, *(variable_of(each.name) for each in fields(Settings)), "PATH"]
    assert unheeded(dict.fromkeys(names, "x")) == []


def test_every_variable_that_our_own_parts_read_is_known() -> None:
    assert [name for name in _named() if unheeded({name: ""})] == []
    assert OTHERS.fullmatch("TIDEMILL_RECYCLED")


def test_a_process_with_a_log_warns_in_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TIDEMILL_LEASE_SECOND", "s3cret")
    logs.configure(Settings(log_format="json"), component="worker")
    told = capsys.readouterr().err
    assert '"level": "warning"' in told
    assert "did you mean TIDEMILL_LEASE_SECONDS?" in told
    assert "s3cret" not in told


def test_a_command_without_a_log_says_it_on_standard_error() -> None:
    @click.command()
    @with_settings("app")
    def command(settings: Settings) -> None:
        click.echo(settings.app)

    done = CliRunner().invoke(command, ["--app", "a:b"], env={"TIDEMILL_AP": "x"})
    assert done.stdout == "a:b\n"
    assert done.stderr == (
        "tidemill: TIDEMILL_AP is no setting and has no effect: did you mean TIDEMILL_APP?\n"
    )


def _named() -> Iterator[str]:
    """Yield every variable of ours that is named in what is shipped."""
    for folder in SHIPPED:
        for path in (ROOT / folder).rglob("*.*"):
            if path.suffix in {".py", ".js", ".go", ".yaml", ".tpl", ".sh"} and path.is_file():
                yield from re.findall(r"\bTIDEMILL_[A-Z0-9_]*[A-Z0-9]\b", path.read_text())
