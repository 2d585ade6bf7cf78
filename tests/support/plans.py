"""Query plans as data: what a statement read, how, and how much."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from tidemill import sql

Plan = dict[str, Any]
Connection = asyncpg.Connection  # generic in its type stubs only


@dataclass(frozen=True)
class Scan:
    """One scan of a table: `rows` are all that it looked at, over all its loops."""

    table: str
    kind: str
    index: str | None
    loops: int
    rows: float


async def explained(connection: Any, name: str, *args: Any) -> Plan:
    """Run a statement, planned for these values (as through a pooler), and undo it."""
    return await _undone(connection, f"EXPLAIN (ANALYZE, FORMAT JSON) {sql.load(name)}", *args)


async def prepare(connection: Any, name: str, *args: Any) -> None:
    """Plan a statement once for any values, for the tables as they are now."""
    await connection.execute("SET plan_cache_mode = force_generic_plan")
    await connection.execute(f"PREPARE s_{name} AS {sql.load(name)}")
    await _undone(connection, f"EXPLAIN (FORMAT JSON) EXECUTE s_{name} ({_literals(args)})")


async def executed(connection: Any, name: str, *args: Any) -> Plan:
    """Run a prepared statement with the plan it has, and undo it."""
    text = f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE s_{name} ({_literals(args)})"
    return await _undone(connection, text)


def scans(plan: Plan) -> list[Scan]:
    """Return all scans of tables, those never reached included (`loops` = 0)."""
    found: list[Scan] = []
    for node in _nodes(plan):
        if "Relation Name" in node and node["Node Type"] != "ModifyTable":
            loops = node["Actual Loops"]
            removed = node.get("Rows Removed by Filter", 0)
            found.append(
                Scan(
                    table=node["Relation Name"],
                    kind=node["Node Type"],
                    index=node.get("Index Name"),
                    loops=loops,
                    rows=(node["Actual Rows"] + removed) * loops,
                )
            )
    return found


async def _undone(connection: Any, text: str, *args: Any) -> Plan:
    transaction = connection.transaction()
    await transaction.start()
    try:
        plan: Plan = json.loads(await connection.fetchval(text, *args))[0]["Plan"]
        return plan
    finally:
        await transaction.rollback()


def _nodes(plan: Plan) -> Iterator[Plan]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def _literals(args: Sequence[Any]) -> str:
    return ", ".join(_literal(each) for each in args)


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, list):
        return "'{" + ",".join("NULL" if each is None else str(each) for each in value) + "}'"
    return f"'{value}'"
