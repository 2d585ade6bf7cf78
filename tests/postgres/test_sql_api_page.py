"""docs/sql-api.md says what the functions take, raise and read."""

import asyncio
import json
import re
from pathlib import Path

import pytest

from tests.support import storage
from tidemill.db import Database, connect
from tidemill.settings import Settings
from tidemill.store import Store

PAGE = (Path(__file__).parents[2] / "docs" / "sql-api.md").read_text()
SECTION = PAGE.partition("## tidemill.enqueue\n")[2].partition("\n## ")[0]


async def arguments(db: Database, function: str) -> list[tuple[str, str]]:
    text = await db.fetchval(
        "SELECT pg_get_function_arguments(p.oid) FROM pg_proc p "
        "WHERE p.pronamespace = 'tidemill'::regnamespace AND p.proname = $1",
        function,
    )
    found = re.findall(r"(\w+) ([a-z ]+?)(?: DEFAULT [^,]*)?(?:, |$)", text)
    return [(name, "timestamptz" if kind.startswith("timestamp") else kind) for name, kind in found]


async def test_every_parameter_is_told_in_order_with_its_type(db: Database) -> None:
    told = re.findall(r"^\| `(\w+)` \| ([a-z ]+) \|", SECTION, re.MULTILINE)
    assert told == await arguments(db, "enqueue")
    many = re.search(r"`tidemill\.enqueue_many\((.*?)\) → ", PAGE)
    assert many
    assert many[1] == await db.fetchval(
        "SELECT pg_get_function_arguments('tidemill.enqueue_many'::regproc)"
    )


async def test_every_sqlstate_of_ours_is_told(db: Database) -> None:
    sources = await db.fetchval(
        "SELECT string_agg(prosrc, ' ') FROM pg_proc WHERE pronamespace = 'tidemill'::regnamespace"
    )
    raised = set(re.findall(r"'(TM\d+)'", sources))
    assert raised
    assert raised == set(re.findall(r"^\| `(TM\d+)` \|", PAGE, re.MULTILINE))


async def test_every_setting_of_sql_producers_is_told(db: Database) -> None:
    source = await db.fetchval(
        "SELECT prosrc FROM pg_proc WHERE oid = 'tidemill.enqueue_many'::regproc"
    )
    read = set(re.findall(r"current_setting\('(tidemill\.\w+)'", source))
    assert read
    assert read == set(re.findall(r"ALTER DATABASE tasks SET (tidemill\.\w+)", PAGE))


async def test_every_column_of_task_status_is_told(db: Database) -> None:
    columns = await db.fetch(
        "SELECT attname::text AS name FROM pg_attribute "
        "WHERE attrelid = 'tidemill.task_status'::regclass AND attnum > 0"
    )
    looking = PAGE.partition("## Looking at tasks")[2].partition("\n## ")[0]
    untold = {row["name"] for row in columns} - set(re.findall(r"`(\w+)`", looking))
    assert untold == {"queue_id"}


async def test_all_rows_of_a_statement_in_one_call(store: Store, db: Database) -> None:
    call = re.search(r"`(SELECT tidemill\.enqueue_many\(coalesce.*?) FROM new_orders o`", PAGE)
    assert call
    rows = "(VALUES ('o1', 500), ('o2', 600)) AS o (id, cents)"
    assert len(await db.fetch(f"{call[1]} FROM {rows}")) == 2
    assert await db.fetch(f"{call[1]} FROM {rows} WHERE false") == []
    assert [
        each["payload"]
        for each in await db.fetch("SELECT payload::text FROM tidemill.tasks ORDER BY id")
    ] == ['{"id": "o1", "cents": 500}', '{"id": "o2", "cents": 600}']
    assert await storage.count(db, "ready") == 2
    assert (await store.queues.list())[0].name == "default"


@pytest.mark.parametrize("notify", [True, False])
async def test_a_commit_notifies_each_queue_once_unless_told_not_to(
    settings: Settings, db: Database, notify: bool
) -> None:
    heard: list[object] = []
    ended = asyncio.Event()

    def hear(_connection: object, _pid: int, _channel: str, said: object) -> None:
        heard.append(said)
        if said == "end":
            ended.set()

    listening = await connect(settings, application="tests")
    try:
        await listening.add_listener("tidemill", hear)
        later = {"type": "t", "queue": "later", "delay_seconds": 60}
        tasks = [*({"type": "t", "queue": queue} for queue in ("a", "b", "a")), later]
        async with db.transaction() as session:
            await session.execute(
                "SELECT tidemill.enqueue_many($1::jsonb, notify => $2)",
                json.dumps(tasks),
                notify,
            )
        await db.execute("NOTIFY tidemill, 'end'")
        await asyncio.wait_for(ended.wait(), 20)
    finally:
        listening.terminate()
    assert sorted(map(str, heard)) == (["a", "b", "end"] if notify else ["end"])
