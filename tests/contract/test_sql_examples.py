"""examples/sql: producers in three languages that enqueue in their own transactions."""

import json
import os
import re
import subprocess
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.support import ledger, logins, sql_examples, storage
from tidemill.db import Database
from tidemill.store import Store

pytestmark = pytest.mark.timeout(600)  # the first test of a language fetches and compiles


@pytest.fixture(scope="module", params=sql_examples.LANGUAGES)
def program(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> sql_examples.Program:
    return sql_examples.LANGUAGES[request.param](tmp_path_factory.mktemp(request.param))


class Shop:
    """One of the programs with a login that is a producer and owns its orders, no more."""

    def __init__(self, program: list[str], user: str, url: str) -> None:
        self.program, self.user, self.url = program, user, url

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self.program, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"DATABASE_URL": self.url},
        )

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=60)
        return process.returncode, out.strip(), err.strip()


@pytest.fixture
async def shop(program: list[str], db: Database, database_url: str) -> AsyncIterator[Shop]:
    async with logins.login(db, database_url, "tidemill_producer") as (user, url):
        await db.execute(f"GRANT CREATE ON SCHEMA public TO {user}")
        made = Shop(program, user, url)
        assert made("init") == (0, "ready", "")
        yield made


async def orders(db: Database) -> int:
    found: int = await db.fetchval("SELECT count(*) FROM orders")
    return found


async def test_commit_enqueues_once(shop: Shop, store: Store, db: Database) -> None:
    code, task_id, err = shop("place", "o1", "Ann", "500")
    assert (code, err) == (0, "")
    assert shop("place", "o1", "Ann", "500") == (0, task_id, "")
    task = await store.tasks.get(UUID(task_id))
    assert task is not None
    assert task.payload == {"order": "o1", "customer": "Ann", "cents": 500}
    assert (task.type, task.queue, task.idempotency_key) == ("send_receipt", "mail", "receipt:o1")
    assert await orders(db) == 1
    assert (await ledger.balance(store))["queued"] == 1


async def test_rollback_enqueues_nothing(shop: Shop, store: Store, db: Database) -> None:
    told = shop("place", "o1", "Ann", "0")
    assert told == (1, "", "refused: order o1 must cost something")
    assert await orders(db) == 0
    for table in ("tasks", "ready", "queues", "idempotency_keys", "throughput_deltas"):
        assert await storage.count(db, table) == 0, table
    assert shop("place", "o1", "Ann", "500")[0] == 0, "the key is free"
    await ledger.balance(store)


async def test_an_error_of_the_function_aborts_the_transaction_and_says_why(
    shop: Shop, store: Store, db: Database
) -> None:
    code, out, err = shop("place", "o" * 300, "Ann", "500")
    assert (code, out) == (1, "")
    assert err.startswith("TM400: tasks[0].idempotency_key: must be 1 to 255 characters (got ")
    assert await orders(db) == 0
    first = shop("place", "o1", "Ann", "500")[1]
    assert shop("place", "o1", "Ann", "600")[2] == (
        "TM409: tasks[0].idempotency_key: 'receipt:o1' was used for task "
        f"{first} with another type or payload"
    )
    name = await db.fetchval("SELECT quote_ident(current_database())")
    await db.execute(f"ALTER DATABASE {name} SET tidemill.unknown_types = reject")
    told = shop("place", "o2", "Ann", "500")
    assert told == (1, "", "TM404: tasks[0].type: 'send_receipt' is not a registered task type")
    await db.execute(f"ALTER DATABASE {name} RESET tidemill.unknown_types")
    await db.execute("UPDATE tidemill.queues SET max_depth = 1")
    full = "TM429: tasks[0].queue: 'mail' is full: 1 tasks wait in it, and it takes at most 1"
    assert shop("place", "o3", "Ann", "500") == (1, "", full)
    assert await orders(db) == 1
    assert (await ledger.balance(store))["queued"] == 1


async def test_the_same_key_at_once_is_one_task(shop: Shop, store: Store, db: Database) -> None:
    several = [shop.start("place", "o1", "Ann", "500") for _ in range(6)]
    told = [each.communicate(timeout=60) for each in several]
    assert [each.returncode for each in several] == [0] * 6, told
    assert len({out for out, _ in told}) == 1
    assert await orders(db) == 1
    assert (await ledger.balance(store))["queued"] == 1


async def test_behind_an_open_transaction_with_the_key_it_waits_and_gets_that_task(
    shop: Shop, database_url: str, db: Database
) -> None:
    receipt = json.dumps({"order": "o1", "customer": "Ann", "cents": 500})
    with psycopg.connect(database_url) as other:
        [(held,)] = other.execute(
            "SELECT tidemill.enqueue('send_receipt', %s::jsonb, queue => 'mail', "
            "idempotency_key => 'receipt:o1')",
            [receipt],
        ).fetchall()
        waiting = shop.start("place", "o1", "Ann", "500")
        await storage.until_blocked(db)
        other.commit()
    assert waiting.communicate(timeout=60) == (f"{held}\n", "")


async def test_a_batch_is_one_statement_and_a_second_one_is_known(
    shop: Shop, store: Store, db: Database
) -> None:
    assert shop("place-many", "1000") == (0, "1000 tasks, 1000 new", "")
    assert shop("place-many", "1000") == (0, "1000 tasks, 0 new", "")
    assert await orders(db) == 1000
    assert (await ledger.balance(store))["queued"] == 1000


async def test_a_producer_sees_tasks_only_where_it_was_granted(shop: Shop, db: Database) -> None:
    task: Any = shop("place", "o1", "Ann", "500")[1]
    assert shop("status", task) == (1, "", "42501: permission denied for view task_status")
    await db.execute(f"GRANT SELECT ON tidemill.task_status TO {shop.user}")
    assert shop("status", task) == (0, "queued in mail", "")
    nobody = "00000000-0000-7000-8000-000000000000"
    assert shop("status", nobody) == (0, "no such task", "")


def test_lock_files_name_no_registry() -> None:
    folder = sql_examples.ROOT
    lock = json.loads((folder / "node" / "package-lock.json").read_text())
    fetched = {name: each for name, each in lock["packages"].items() if name}
    assert fetched
    for each in fetched.values():
        assert each["integrity"].startswith("sha512-")
        assert "resolved" not in each
    asked = json.loads((folder / "node" / "package.json").read_text())["dependencies"]["pg"]
    assert lock["packages"]["node_modules/pg"]["version"] == asked
    sums = (folder / "go" / "go.sum").read_text()
    modules = re.findall(r"(\S+/\S+) (v\S+)", (folder / "go" / "go.mod").read_text())
    assert modules
    assert all(f"{name} {version} h1:" in sums for name, version in modules)
