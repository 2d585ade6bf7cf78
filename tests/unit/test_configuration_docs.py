"""docs/configuration.md, .env.example and the options are made from the settings."""

from dataclasses import fields
from pathlib import Path

import click
import pytest

from tidemill.setting import about, variable_of
from tidemill.settings import Settings
from tidemill_cli import configuration
from tidemill_cli.__main__ import COMMANDS, tidemill
from tidemill_cli.options import flag_of, help_of

ROOT = Path(__file__).parents[2]
STALE = "run `make docs`"


def test_the_page_is_up_to_date() -> None:
    assert (ROOT / "docs" / "configuration.md").read_text() == configuration.markdown(), STALE


def test_the_example_is_up_to_date() -> None:
    assert (ROOT / ".env.example").read_text() == configuration.env(), STALE


def test_the_example_with_all_defaults_is_the_default() -> None:
    lines = [line.removeprefix("# ") for line in configuration.env().splitlines()]
    values = dict(line.split("=", 1) for line in lines if line.startswith("TIDEMILL_"))
    assert len(values) == len(fields(Settings))
    assert Settings.load(values) == Settings()


@pytest.mark.parametrize("group", sorted({about(each).group for each in fields(Settings)}))
def test_the_members_of_a_group_stand_together(group: str) -> None:
    places = [n for n, each in enumerate(fields(Settings)) if about(each).group == group]
    assert places == list(range(places[0], places[-1] + 1))


@pytest.mark.parametrize("name", COMMANDS)
def test_an_option_that_names_a_setting_says_what_the_setting_says(name: str) -> None:
    context = click.Context(tidemill)
    command = tidemill.get_command(context, name)
    assert command is not None
    known = {each.name: each for each in fields(Settings)}
    nested = command.commands.values() if isinstance(command, click.Group) else [command]
    options = [
        parameter
        for each in nested
        for parameter in each.params
        if isinstance(parameter, click.Option) and parameter.name in known
    ]
    for option in options:
        assert option.name is not None
        assert option.opts == [flag_of(option.name)]
        assert option.help == help_of(known[option.name])
        assert variable_of(option.name) in (option.help or "")


def test_secrets_are_masked_in_every_form() -> None:
    settings = Settings(database_url="postgresql://me:hidden@db/tasks")
    for shown in (configuration.text(settings), configuration.as_json(settings)):
        assert "hidden" not in shown
        assert "postgresql://me:***@db/tasks" in shown
