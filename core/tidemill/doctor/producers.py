"""SQL producers come past the API and its settings: they have their own, in the database."""

from collections.abc import Mapping
from typing import Final

from tidemill.doctor.finding import Finding, Level, Row, Rows, ok, quoted

DEFAULTS: Final = {
    "unknown_types": "accept",
    "create_queues_on_enqueue": "on",
    "max_payload_bytes": "1048576",
}
"""What tidemill.enqueue does where nothing is set."""
_ON, _OFF = ("on", "true", "yes", "1"), ("off", "false", "no", "0")


def settings(rows: Rows, wanted: Mapping[str, str]) -> list[Finding]:
    """Judge the database's settings for SQL producers beside `wanted`, those of this process."""
    row = rows[0]
    found = [each for name in DEFAULTS if (each := _compared(row, name, wanted[name]))]
    shown = {name: _effective(row, name) for name in DEFAULTS}
    return found or ok("sql_producers", "SQL producers are held to the API's settings", **shown)


def _compared(row: Row, name: str, wanted: str) -> Finding | None:
    given = _effective(row, name)
    mend = f"ALTER DATABASE {quoted(row['database'])} SET tidemill.{name} = '{wanted}'"
    figures = {"setting": f"tidemill.{name}", "is": row[name], "here": wanted}
    if given is None:
        finding = f"tidemill.{name} is {row[name]!r}, which is no value of it"
        return Finding("sql_producers", Level.PROBLEM, finding, mend, figures)
    if given == wanted:
        return None
    unset = "" if row[name] else " (not set)"
    finding = (
        f"SQL producers have {name} {given}{unset}, and TIDEMILL_{name.upper()} is {wanted} here"
    )
    return Finding("sql_producers", Level.NOTE, finding, f"if they should agree: {mend}", figures)


def _effective(row: Row, name: str) -> str | None:
    """Return what holds, as our settings write it, or None for what is no value."""
    given: str = row[name] or DEFAULTS[name]
    if name == "create_queues_on_enqueue":
        word = given.lower()
        return "on" if word in _ON else "off" if word in _OFF else None
    if name == "max_payload_bytes":
        return given if given.isdecimal() else None
    return given if given in ("accept", "reject") else None
