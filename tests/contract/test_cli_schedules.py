"""`tidemill types apply` and the schedules that an app declares."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.schedules import put
from tidemill.store import Store

TASK = """
from tidemill import App

app = App()

@app.task
async def report(day: str) -> None: ...

"""
NIGHTLY = 'app.schedule("nightly", cron="0 3 * * *", task=report, payload={"day": "x"})\n'
LATER = 'app.schedule("nightly", cron="0 4 * * *", task=report, payload={"day": "y"})\n'
WEEKLY = 'app.schedule("weekly", cron="@weekly", task="report")\n'
APPLY = ("apply", "--app", "mine:app")


@pytest.fixture
def types(database_url: str, tmp_path: Path) -> Any:
    """Run `tidemill types` on this test's database; `source` becomes the module `mine`."""

    def run(source: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "mine.py").write_text(TASK + source)
        own = {"TIDEMILL_DATABASE_URL": database_url, "PYTHONPATH": str(tmp_path)}
        return subprocess.run(
            [sys.executable, "-m", "tidemill_cli", "types", *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=os.environ | own | {"PYTHONDONTWRITEBYTECODE": "1"},
        )

    return run


async def names(store: Store) -> list[str]:
    return [each.name for each in await store.schedules.list()]


async def test_an_apply_tells_and_stores_what_the_app_schedules(types: Any, store: Store) -> None:
    first = types(NIGHTLY + WEEKLY, *APPLY)
    assert first.returncode == 0, first.stderr
    assert first.stdout.splitlines()[2:] == [
        "+ schedule nightly",
        "+ schedule weekly",
        "registered 2 schedules of mine:app: 2 new",
    ]
    again = types(NIGHTLY + WEEKLY, *APPLY, "-o", "json")
    assert [each["change"] for each in json.loads(again.stdout)["schedules"]] == ["unchanged"] * 2
    assert {each.app for each in await store.schedules.list()} == {"mine:app"}


async def test_a_dry_run_of_a_changed_schedule_changes_nothing(types: Any, store: Store) -> None:
    types(NIGHTLY, *APPLY)
    before = await store.schedules.list()
    done = types(LATER, *APPLY, "--dry-run")
    assert done.returncode == 1
    told = '~ schedule nightly  cron "0 3 * * *" -> "0 4 * * *", payload differs'
    assert told in done.stdout.splitlines()
    assert await store.schedules.list() == before
    types(LATER, *APPLY)
    assert [each.definition.cron for each in await store.schedules.list()] == ["0 4 * * *"]


async def test_only_prune_removes_schedules_and_only_this_apps(types: Any, store: Store) -> None:
    await put(store, "by-hand")
    types(NIGHTLY + WEEKLY, *APPLY)
    kept = types(WEEKLY, *APPLY)
    assert "- schedule nightly  not in the app any more (--prune removes it)" in kept.stdout
    assert await names(store) == ["by-hand", "nightly", "weekly"]
    pruned = types(WEEKLY, *APPLY, "--prune")
    assert "- schedule nightly  removed" in pruned.stdout
    assert await names(store) == ["by-hand", "weekly"]


async def test_a_schedule_that_cannot_work_is_one_line(types: Any, store: Store) -> None:
    done = types(NIGHTLY.replace("0 3", "0 30"), *APPLY)
    assert done.returncode == 2
    assert "cron: must be a cron expression: bad hour" in done.stderr
    assert "mine.py, line 9)" in done.stderr
    assert "Traceback" not in done.stderr
    assert await names(store) == []
