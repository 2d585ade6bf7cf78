"""The SQL: one statement a file in `queries/`, numbered migrations, and the schema they make.

`QUERY` names a file without its ending, as in `sql.load("claim")`; the text is read once.
"""

from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import LiteralString

_HERE = files(__name__)


@cache
def load(name: str) -> LiteralString:
    """Return the statement in `queries/NAME.sql`, comments and all: they help in server logs."""
    file = _HERE / "queries" / f"{name}.sql"
    return file.read_text("utf-8")  # pyright: ignore[reportReturnType] - as literal as code


def queries() -> list[str]:
    """Return the names of all statements."""
    return sorted(_stem(each) for each in (_HERE / "queries").iterdir() if _is_sql(each))


def migrations() -> list[tuple[int, str, str]]:
    """Return (number, name, text) of each migration, in order."""
    found = [each for each in (_HERE / "migrations").iterdir() if _is_sql(each)]
    return sorted((int(_stem(each)[:4]), _stem(each), each.read_text("utf-8")) for each in found)


def _is_sql(each: Traversable) -> bool:
    return each.name.endswith(".sql")


def _stem(each: Traversable) -> str:
    return each.name.removesuffix(".sql")
