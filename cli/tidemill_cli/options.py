"""Command-line options made from the settings: their help and defaults are written only there."""

import os
from collections.abc import Callable
from dataclasses import Field, fields, replace
from functools import update_wrapper
from typing import Any

import click

from tidemill.errors import ConfigurationError
from tidemill.sdk.reference import canonical
from tidemill.setting import about, variable_of
from tidemill.settings import Settings
from tidemill.unheeded import unheeded

ALIASES = {
    "api_host": "--host",
    "api_port": "--port",
    "api_processes": "--processes",
    "api_prefix": "--prefix",
    "api_drain_delay_seconds": "--drain-delay-seconds",
    "api_connections": "--connections",
    "queues": "--queue",
}
"""Options with another name than their setting's; `--queue` may be given more than once."""

DATABASE = (
    "database_url",
    "database_direct_url",
    "database_ca_file",
    "database_password_file",
    "database_pooler",
    "database_wait_seconds",
)
LOGS = ("log_level", "log_format")

_FIELDS = {each.name: each for each in fields(Settings)}
Command = Callable[..., Any]


def with_settings(*names: str) -> Callable[[Command], Command]:
    """Give a command one option for each named setting, and pass it the loaded `Settings`.

    Variables fill what no option gives, so settings without an option work too. A command without
    a log says itself which variables have no effect.
    """

    def decorate(command: Command) -> Command:
        def loaded(**given: Any) -> Any:
            overrides = {name: given.pop(name) for name in names}
            for sentence in () if "log_format" in names else unheeded(os.environ):
                click.echo(f"tidemill: {sentence}", err=True)
            return command(Settings.load(os.environ, **overrides), **given)

        update_wrapper(loaded, command)
        decorated: Command = loaded
        for name in reversed(names):
            decorated = _option(_FIELDS[name])(decorated)
        return decorated

    return decorate


def naming_app(settings: Settings, given: str | None) -> Settings:
    """Return the settings with the app that a command's argument, --app or TIDEMILL_APP names.

    Raises UsageError when there is none, or an argument and --app name different ones.
    """
    option = click.get_current_context().params.get("app")
    if not (given or settings.app):
        raise click.UsageError("an app must be given: package.module:attribute, or --app")
    app = canonical(given or settings.app)
    if given and option and canonical(option) != app:
        raise click.UsageError(f"one app must be given (got {given} and --app {option})")
    return replace(settings, app=app)


def flag_of(name: str) -> str:
    """Return the option of the setting `name`."""
    return ALIASES.get(name, f"--{name.replace('_', '-')}")


def help_of(each: Field[Any]) -> str:
    """Return an option's help: what the setting means, its default and its variable."""
    known = about(each)
    shown = f"{each.default:g}" if isinstance(each.default, float) else str(each.default)
    default = f"default {f'{shown} {known.unit}'.strip()}; " if shown else ""
    return f"{known.meaning[:1].upper()}{known.meaning[1:]}. [{default}{variable_of(each.name)}]"


def _option(each: Field[Any]) -> Callable[[Command], Command]:
    known = about(each)
    return click.option(
        flag_of(each.name),
        each.name,
        metavar="|".join(known.choices) or _METAVARS.get(each.type, "TEXT"),
        multiple=each.name == "queues",
        callback=_checked,
        help=help_of(each),
    )


_METAVARS: dict[object, str] = {int: "N", float: "NUMBER"}


def _checked(
    context: click.Context, option: click.Parameter, given: str | tuple[str, ...] | None
) -> str | None:
    """Refuse a value that the setting refuses, in the option's name instead of the variable's."""
    value = ",".join(given) or None if isinstance(given, tuple) else given
    name = option.name or ""
    try:
        Settings.load({}, **{name: value})
    except ConfigurationError as error:
        rule = str(error).removeprefix(variable_of(name)).strip()
        raise click.BadParameter(rule, context, option) from None
    return value
