"""The commands against a real database: what they print, their exit codes, what they leave."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.support.up import APP, port_answers
from tests.support.waiting import until
from tidemill.schema import LATEST
from tidemill.store import Store
from tidemill_cli.local.postgres import free_port


def tidemill(*arguments: str, url: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tidemill_cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=os.environ | {"TIDEMILL_DATABASE_URL": url} | variables,
    )


def test_migrate_brings_an_empty_database_up_and_does_nothing_the_second_time(
    empty_database_url: str,
) -> None:
    before = tidemill("migrate", "--status", url=empty_database_url)
    assert before.returncode == 1
    assert before.stdout == f"schema 0 is older than this code's {LATEST}: run `tidemill migrate`\n"
    first = tidemill("migrate", url=empty_database_url)
    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith("applied 0001_initial\n")
    second = tidemill("migrate", "-o", "json", url=empty_database_url)
    assert json.loads(second.stdout)["applied"] == []
    status = tidemill("migrate", "--status", "-o", "json", url=empty_database_url)
    assert status.returncode == 0
    told = json.loads(status.stdout)
    assert (told["current"], told["latest"], told["fits"]) == (LATEST, LATEST, True)


def test_migrations_at_the_same_time_wait_for_each_other(empty_database_url: str) -> None:
    several = [
        subprocess.Popen(
            [sys.executable, "-m", "tidemill_cli", "migrate"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"TIDEMILL_DATABASE_URL": empty_database_url},
        )
        for _ in range(3)
    ]
    told = [each.communicate(timeout=60) for each in several]
    assert [each.returncode for each in several] == [0, 0, 0], told
    assert sum("applied 0001_initial" in out for out, _ in told) == 1


def test_a_number_that_no_migration_has_is_refused(database_url: str) -> None:
    done = tidemill("migrate", "--to", "999", url=database_url)
    assert done.returncode == 2
    assert "--to must be" in done.stderr


def test_a_refused_login_is_one_line_and_exit_code_3(database_url: str) -> None:
    nobody = database_url.rpartition("/")[0] + "/no_such_database"
    done = tidemill("migrate", url=nobody)
    assert done.returncode == 3
    assert "the database refused" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_schema_that_does_not_come_is_exit_code_4(
    empty_database_url: str, tmp_path: Path
) -> None:
    (tmp_path / "mymodule.py").write_text(APP)
    done = tidemill(
        *("types", "apply", "--app", "mymodule:app", "--database-wait-seconds", "0"),
        url=empty_database_url,
        PYTHONPATH=str(tmp_path),
    )
    assert done.returncode == 4, done.stderr
    assert "run `tidemill migrate`" in done.stderr


async def test_types_apply_registers_the_apps_types(
    database_url: str, store: Store, tmp_path: Path
) -> None:
    (tmp_path / "mymodule.py").write_text(APP)
    done = tidemill(
        *("types", "apply", "--app", "mymodule:app"),
        url=database_url,
        PYTHONPATH=str(tmp_path),
    )
    assert done.returncode == 0, done.stderr
    assert "registered 2 task types of mymodule:app: 2 new" in done.stdout
    known = {each.name: each for each in await store.types.list()}
    schema = known["add"].schema
    assert schema is not None
    assert sorted(schema["required"]) == ["left", "right"]


def test_api_and_worker_run_until_told_to_stop(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "mymodule.py").write_text(APP)
    port = free_port()
    environment = os.environ | {"TIDEMILL_DATABASE_URL": database_url, "PYTHONPATH": str(tmp_path)}
    api, worker = (
        subprocess.Popen(
            [sys.executable, "-m", "tidemill_cli", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
        )
        for arguments in (["api", "--port", str(port)], ["worker", "mymodule:app"])
    )
    try:
        until(lambda: port_answers(port), seconds=60, what="the API listens")
        assert worker.stdout
        lines = iter(worker.stdout.readline, "")
        assert any("working on" in line for line in lines), "the worker said nothing"
        for process in (worker, api):
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
    finally:
        for process in (worker, api):
            process.kill()
            process.communicate()
