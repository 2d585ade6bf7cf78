"""The settings as text for people, JSON, Markdown (docs/configuration.md) and .env.example."""

import json
from collections.abc import Iterator
from dataclasses import Field, fields
from itertools import groupby
from typing import Any

from tidemill.setting import About, about, variable_of
from tidemill.settings import Settings

_INTRO = """\
# Configuration

Every setting is a variable `TIDEMILL_*`; many are options of the commands too, and an option wins.
`tidemill config` prints the values that a process here would use, with passwords masked.
This page is made by `tidemill config -o markdown`; a test keeps it true.
"""

_ENV_INTRO = """\
# Every setting with its default. Copy to `.env`, and uncomment what you change: `make run` and the
# other make targets for this machine read it; elsewhere: set -a; . ./.env; set +a
# Made by `tidemill config -o env`; a test keeps it true.
"""


def text(settings: Settings) -> str:
    """Return one line a setting: variable, value, and a mark where it is not the default."""
    shown = settings.shown()
    width = max(len(variable_of(name)) for name in shown)
    lines = [
        f"{variable_of(each.name):{width}}  {shown[each.name]}{_mark(settings, each)}"
        for each in fields(settings)
    ]
    return "\n".join(line.rstrip() for line in lines)


def as_json(settings: Settings) -> str:
    """Return an object of variable names to values."""
    return json.dumps({variable_of(k): v for k, v in settings.shown().items()}, indent=2)


def markdown() -> str:
    """Return docs/configuration.md: a table for each group of settings."""
    parts = [_INTRO]
    for group, members in _groups():
        rows = [_row(each) for each in members]
        head = "| variable | meaning | default | allowed |\n|---|---|---|---|"
        parts.append(f"## {group.capitalize()}\n\n{head}\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def env() -> str:
    """Return .env.example."""
    parts = [_ENV_INTRO]
    for group, members in _groups():
        rows = [
            f"# {about(each).meaning}{_span_note(about(each))}\n# {variable_of(each.name)}="
            f"{_default(each)}"
            for each in members
        ]
        parts.append(f"# --- {group} ---\n\n" + "\n\n".join(rows) + "\n")
    return "\n".join(parts)


def _groups() -> Iterator[tuple[str, list[Field[Any]]]]:
    for group, members in groupby(fields(Settings), key=lambda each: about(each).group):
        yield group, list(members)


def _row(each: Field[Any]) -> str:
    known = about(each)
    default = f"`{_default(each)}`" if _default(each) else "-"
    meaning = known.meaning.replace("|", "\\|")
    cells = (f"`{variable_of(each.name)}`", meaning, default, _span(known) or "-")
    return f"| {' | '.join(cells)} |"


def _default(each: Field[Any]) -> str:
    return f"{each.default:g}" if isinstance(each.default, float) else str(each.default)


def _span(known: About) -> str:
    if known.choices:
        return ", ".join(f"`{choice}`" for choice in known.choices)
    if known.least is None or known.most is None:
        return ""
    return f"{known.least:.12g} to {known.most:.12g} {known.unit}".rstrip()


def _span_note(known: About) -> str:
    span = _span(known).replace("`", "")
    return f" ({span})" if span else ""


def _mark(settings: Settings, each: Field[Any]) -> str:
    return "" if getattr(settings, each.name) == each.default else "   # set"
