"""Roles: each login does its part, owns nothing, and is refused the rest."""

import secrets
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import date
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.support import ledger, postgres, storage
from tests.support.postgres import Server
from tidemill import schema, sql
from tidemill.db import Database
from tidemill.errors import DatabaseRefused
from tidemill.models import NewTask, TaskType, WorkerIdentity
from tidemill.retry import RetryPolicy
from tidemill.states import Outcome
from tidemill.store import Store
from tidemill.store.marks import Marks
from tidemill.store.queues import Owner, QueueSettings
from tidemill.store.retention import Keep
from tidemill.store.scaling import DecisionRecord
from tidemill_cli.local.postgres import EmbeddedPostgres

NAMES = [name for _, name, _ in sql.migrations()]

Login = Callable[[str], Coroutine[Any, Any, Database]]


def as_user(url: str, user: str) -> Database:
    parts = urlsplit(url)
    address = urlunsplit(parts._replace(netloc=f"{user}:pw@{parts.hostname}:{parts.port}"))
    return Database.of(postgres.settings_of(address), application="tests")


@pytest.fixture
async def login(db: Database, database_url: str) -> AsyncIterator[Login]:
    """Logins of this test's database that have one role each."""
    made: list[tuple[str, Database]] = []

    async def login_of(role: str) -> Database:
        user = f"u_{secrets.token_hex(4)}"
        await db.execute(f"CREATE ROLE {user} LOGIN PASSWORD 'pw' IN ROLE {role}")
        made.append((user, as_user(database_url, user)))
        return made[-1][1]

    yield login_of
    for user, pool in made:
        await pool.close()
        await db.execute(f"DROP ROLE {user}")


async def test_app_can_do_all_that_the_store_does(login: Login, db: Database) -> None:
    app = await login("tidemill_app")
    store = Store.of(app)
    await schema.wait_for_schema(app, 0)
    await store.types.register([TaskType(name="t", retry=RetryPolicy())], app="a:b")
    await store.types.list()
    pod = {"pod_uid": "u", "container": "c"}
    await storage.worker(store, instance="1", **pod)
    worker = await storage.worker(store, instance="2", **pod)
    keyed = NewTask(type="t", queue="new", idempotency_key="k")
    made = await store.tasks.enqueue([keyed, keyed, *[NewTask(type="t")] * 8])
    await app.execute("SELECT tidemill.enqueue('t', delay_seconds => 60)")
    await all_outcomes(store, worker, db)
    assert await store.workers.release_unknown(worker, []) == []
    await store.workers.expire([worker.id])
    await store.tasks.get(made[0].id)
    assert await store.tasks.history(made[0].id)
    await store.leases.recorded([], made[0].created_at)
    await store.queues.configure("new", QueueSettings(max_running=3), Owner("u", "ns/n"))
    await store.queues.configure("new", QueueSettings(), Owner("u", "ns/n"))
    await store.queues.disown("u")
    await store.purges.step(10)
    await store.scaling.snapshots(cap=10, due_seconds=5)
    await store.scaling.record(decision())
    await store.upkeep.fold(1000)
    await store.upkeep.expire(1000)
    assert await store.upkeep.ensure_partitions(8) == 2
    await retains(store)
    await store.workers.bump_epoch(worker)
    await store.workers.bury(hostname="host", pid=1)
    await ledger.balance(store)


async def retains(store: Store) -> None:
    keep = Keep(succeeded=604_800, failed=2_592_000, cancelled=604_800)
    assert await store.retention.expire_waiting(100) == (0, 0)
    assert await store.retention.thin_dead_letters(keep, 100) == 0
    (each,) = await store.retention.passes(keep)
    assert await store.retention.thin(each, keep, await store.retention.days("attempts"), 100) == 0
    for drop in (
        store.retention.drop_attempts_day(date(2020, 1, 1)),
        store.retention.drop_day(date(2020, 1, 1), keep),
    ):
        assert await drop == "missing"
    await store.retention.begin_again()
    assert await store.retention.analyze()


async def all_outcomes(store: Store, worker: WorkerIdentity, db: Database) -> None:
    tasks = await storage.claim(store, worker)
    outcomes = (
        Outcome.SUCCEEDED,
        Outcome.RETRY,
        Outcome.FAILED,
        Outcome.CANCELLED,
        Outcome.SNOOZED,
        Outcome.RELEASED,
    )
    for task, outcome in zip(tasks, outcomes, strict=False):
        await store.leases.finish(storage.ends([task], outcome))
    await store.leases.extend([task.lease for task in tasks], 30)
    await storage.expire_leases(db)
    assert (await store.upkeep.recover(100, 1)).total() > 0
    await storage.make_due(db)
    assert (await store.upkeep.promote(100)).total() > 0
    await store.workers.heartbeat(worker)


def decision() -> DecisionRecord:
    return DecisionRecord(target="ns/a", queue="q", replicas=1, desired=2, reason="r", inputs={})


async def test_app_owns_nothing_and_changes_no_schema(login: Login) -> None:
    app = await login("tidemill_app")
    owned = (
        "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
        "WHERE nspname = 'tidemill' AND pg_get_userbyid(relowner) <> 'tidemill_owner'"
    )
    assert await app.fetchval(owned) == 0
    for refused in (
        "CREATE TABLE tidemill.mine ()",
        "DROP TABLE tidemill.ready",
        "TRUNCATE tidemill.tasks",
        "UPDATE tidemill.tasks SET payload = '{}'",
        "UPDATE tidemill.ready SET seq = 0",
        "UPDATE tidemill.attempts SET outcome = 'succeeded'",
        "INSERT INTO tidemill.migrations VALUES (99, 'x', 99)",
        "SET ROLE tidemill_owner",
    ):
        with pytest.raises(DatabaseRefused):
            await app.execute(refused)


async def test_producer_enqueues_and_nothing_else(login: Login, db: Database) -> None:
    producer = await login("tidemill_producer")
    await producer.execute("SELECT tidemill.enqueue('t', idempotency_key => 'k', queue => 'new')")
    await producer.execute("""SELECT * FROM tidemill.enqueue_many('[{"type": "t"}]')""")
    assert await storage.count(db, "ready") == 2
    tables = await db.fetch(
        "SELECT format('tidemill.%I', relname) AS name FROM pg_class "
        "WHERE relnamespace = 'tidemill'::regnamespace AND relkind IN ('r', 'p', 'v', 'S')"
    )
    for table in tables:
        with pytest.raises(DatabaseRefused):
            await producer.execute(f"SELECT FROM {table['name']}")
    functions = await db.fetch(
        "SELECT proname AS name FROM pg_proc p "
        "WHERE pronamespace = 'tidemill'::regnamespace AND prokind = 'f' "
        "AND has_function_privilege('tidemill_producer', p.oid, 'EXECUTE')"
    )
    assert {row["name"] for row in functions} == {"enqueue", "enqueue_many"}
    with pytest.raises(DatabaseRefused):
        await Store.of(producer).tasks.enqueue([NewTask(type="t")])
    with pytest.raises(DatabaseRefused):
        await schema.status(producer)


async def test_nobody_else_can_call_anything(login: Login, db: Database) -> None:
    await db.execute("CREATE TABLE IF NOT EXISTS public.nothing ()")
    stranger = await login("pg_monitor")
    for refused in ("SELECT tidemill.enqueue('t')", "SELECT FROM tidemill.ready"):
        with pytest.raises(DatabaseRefused):
            await stranger.execute(refused)


async def test_operator_reads_marks_and_configures(login: Login, store: Store) -> None:
    operator = await login("tidemill_operator")
    theirs = Store.of(operator)
    worker = await storage.worker(store)
    await storage.enqueue(store, 2)
    await storage.claim(store, worker, 1)
    await schema.wait_for_schema(operator, 0)
    await theirs.scaling.snapshots(cap=10, due_seconds=5)
    assert await theirs.scaling.free_connections() > 0
    await theirs.stats.stats()
    await theirs.scaling.record(decision())
    owner = Owner("u", "ns/q")
    await theirs.queues.configure("q", QueueSettings(max_running=3, paused=True), owner)
    await theirs.queues.configure("q", QueueSettings(), owner)
    assert await theirs.queues.seen(["u"]) == {"u"}
    assert await theirs.purges.order("u") is None
    await theirs.queues.disown("u")
    await theirs.marks.workers_of(["pod"])
    assert await theirs.marks.write(Marks(cordon=[worker.id]), term=1) == set()
    assert await theirs.marks.write(Marks(unmark=[worker.id]), term=1) == set()
    assert await theirs.marks.draw_term(7) == 8
    assert await theirs.marks.write(Marks(force=[worker.id]), term=2) == {worker.id}
    assert await theirs.marks.bury([worker.id], term=2) == 1
    assert (await store.upkeep.recover(10, 3)).total() == 1
    for refused in (
        "DELETE FROM tidemill.leases",
        "DELETE FROM tidemill.queues",
        "UPDATE tidemill.leases SET lease_token = 1",
        "UPDATE tidemill.workers SET epoch = 9",
        "DELETE FROM tidemill.ready",
        "SELECT tidemill.enqueue('t')",
        "SELECT tidemill.ensure_partitions(7)",
        "SELECT tidemill.drop_day('2020-01-01', 0, 0)",
        "SELECT tidemill.drop_attempts_day('2020-01-01')",
        "SELECT tidemill.analyze_parents()",
        "DELETE FROM tidemill.retention_marks",
        "DELETE FROM tidemill.operator_terms",
    ):
        with pytest.raises(DatabaseRefused):
            await operator.execute(refused)


@pytest.mark.parametrize("roles_exist", [False, True])
async def test_a_migrator_needs_not_be_a_superuser(
    private_server: EmbeddedPostgres, roles_exist: bool
) -> None:
    """CREATEROLE and a database of its own: what managed servers give. Or roles made before."""
    server = Server(private_server.url("postgres"))
    admin = Database.of(postgres.settings_of(server.url), application="tests")
    await admin.execute("CREATE ROLE migrator LOGIN CREATEROLE PASSWORD 'pw'")
    if roles_exist:
        for name in ("owner", "app", "operator", "producer"):
            await admin.execute(f"CREATE ROLE tidemill_{name}")
        await admin.execute("GRANT tidemill_owner TO migrator")
    await admin.execute("CREATE DATABASE own OWNER migrator")
    migrator = as_user(server.url_of("own"), "migrator")
    assert await schema.migrate(migrator) == NAMES
    assert (await schema.status(migrator)).fits
    assert await schema.migrate_down(migrator) == ["tidemill"]
    assert await schema.migrate(migrator) == NAMES
    await migrator.close()
    await admin.close()
    server.close()
