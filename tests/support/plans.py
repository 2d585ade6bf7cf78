"""Query plans as data: what a statement read, how, and how much."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from tidemill import sql

Plan = dict[str, Any]
_REMOVED = ("Filter", "Index Recheck")
_ANALYZE = "ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON"
Connection = asyncpg.Connection  # generic in its type stubs only


@dataclass(frozen=True)
class Scan:
    """One scan of a table: `rows` looked at and `buffers` touched, over all its loops."""

    table: str
    kind: str
    index: str | None
    loops: int
    rows: float
    buffers: int


async def explained(connection: Any, name: str, *args: Any) -> Plan:
    """Run a statement, planned for these values (as through a pooler), and undo it."""
    return await _undone(connection, f"EXPLAIN ({_ANALYZE}) {sql.load(name)}", *args)


async def prepare(connection: Any, name: str, *args: Any) -> None:
    """Plan a statement once for any values, for the tables as they are now."""
    await connection.execute("SET plan_cache_mode = force_generic_plan")
    await connection.execute(f"PREPARE s_{name} AS {sql.load(name)}")
    await _undone(connection, f"EXPLAIN (FORMAT JSON) EXECUTE s_{name} ({_literals(args)})")


async def executed(connection: Any, name: str, *args: Any) -> Plan:
    """Run a prepared statement with the plan it has, and undo it."""
    text = f"EXPLAIN ({_ANALYZE}) EXECUTE s_{name} ({_literals(args)})"
    return await _undone(connection, text)


def scans(plan: Plan) -> list[Scan]:
    """Return all scans of tables, those never reached included (`loops` = 0)."""
    found: list[Scan] = []
    for node in _nodes(plan):
        if "Relation Name" in node and node["Node Type"] != "ModifyTable":
            loops = node["Actual Loops"]
            removed = sum(node.get(f"Rows Removed by {why}", 0) for why in _REMOVED)
            found.append(
                Scan(
                    table=node["Relation Name"],
                    kind=node["Node Type"],
                    index=node.get("Index Name"),
                    loops=loops,
                    rows=(node["Actual Rows"] + removed) * loops,
                    buffers=node["Shared Hit Blocks"] + node["Shared Read Blocks"],
                )
            )
    return found


def touched(plan: Plan) -> int:
    """Return how many buffers a statement touched, those of functions that it calls included.

    A part that only writes runs after the rest and is not in the figures of the top.
    """
    parts = [plan, *(node for node in _nodes(plan) if _runs_last(node))]
    return sum(part["Shared Hit Blocks"] + part["Shared Read Blocks"] for part in parts)


def _runs_last(node: Plan) -> bool:
    return node["Node Type"] == "ModifyTable" and node.get("Parent Relationship") == "InitPlan"


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
        return "'{" + ",".join("NULL" if each is None else f'"{each}"' for each in value) + "}'"
    return f"'{value}'"
