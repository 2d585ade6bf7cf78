"""`tidemill types`: an app's task types applied, compared, pruned and listed."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tidemill.db import Database
from tidemill.models import TaskType
from tidemill.store import Store

FIRST = """
from tidemill import App

app = App()

@app.task(queue="mail", max_retries=3)
async def send(to: str) -> None: ...

@app.task
async def old(n: int) -> None: ...
"""
SECOND = """
from tidemill import App

app = App()

@app.task(queue="mail", max_retries=5)
async def send(to: str, copy: str = "") -> None: ...

@app.task(timeout_seconds=9.5)
async def fresh(n: int) -> None: ...
"""


@pytest.fixture
def types(database_url: str, tmp_path: Path) -> Any:
    """Run `tidemill types` on this test's database; `source` becomes the module `mine`."""

    def run(*arguments: str, source: str = FIRST) -> subprocess.CompletedProcess[str]:
        (tmp_path / "mine.py").write_text(source)
        return subprocess.run(
            [sys.executable, "-m", "tidemill_cli", "types", *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=os.environ
            | {
                "TIDEMILL_DATABASE_URL": database_url,
                "PYTHONPATH": str(tmp_path),
                "PYTHONDONTWRITEBYTECODE": "1",
            },
        )

    return run


APPLY = ("apply", "--app", "mine:app")


def changes(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    return {each["name"]: each["change"] for each in json.loads(done.stdout)["types"]}


def test_applying_twice_changes_nothing_the_second_time(types: Any) -> None:
    first = types(*APPLY)
    assert first.returncode == 0, first.stderr
    assert first.stdout == "+ old\n+ send\nregistered 2 task types of mine:app: 2 new\n"
    second = types(*APPLY, "-o", "json")
    assert changes(second) == {"old": "unchanged", "send": "unchanged"}
    assert types(*APPLY, "--dry-run").returncode == 0


def test_a_dry_run_shows_what_would_change_and_changes_nothing(types: Any) -> None:
    types(*APPLY)
    done = types(*APPLY, "--dry-run", source=SECOND)
    assert done.returncode == 1
    assert done.stdout == (
        "+ fresh\n"
        "- old  not in the app any more (--prune removes it)\n"
        "~ send  max_retries 3 -> 5, schema differs\n"
        "would register 2 task types of mine:app: 1 new, 1 changed, 1 gone\n"
    )
    told = types(*APPLY, "--dry-run", "-o", "json", source=SECOND)
    assert json.loads(told.stdout)["dry_run"] is True
    [send] = [each for each in json.loads(told.stdout)["types"] if each["name"] == "send"]
    assert send["fields"]["max_retries"] == {"from": 3, "to": 5}
    assert list(send["fields"]["schema"]["to"]["properties"]) == ["to", "copy"]
    assert changes(types(*APPLY, "-o", "json")) == {"old": "unchanged", "send": "unchanged"}


def test_a_gone_type_alone_is_a_change_only_with_prune(types: Any) -> None:
    types(*APPLY)
    without_old = FIRST.partition("@app.task\n")[0]
    assert types(*APPLY, "--dry-run", source=without_old).returncode == 0
    assert types(*APPLY, "--dry-run", "--prune", source=without_old).returncode == 1


async def test_only_prune_removes_and_only_this_apps(types: Any, store: Store) -> None:
    await store.types.register([TaskType(name="theirs")], app="other:app")
    types(*APPLY)
    types(*APPLY, source=SECOND)
    names = [each.name for each in await store.types.list()]
    assert names == ["fresh", "old", "send", "theirs"]
    pruned = types(*APPLY, "--prune", source=SECOND)
    assert "- old  removed\n" in pruned.stdout
    assert [each.name for each in await store.types.list()] == ["fresh", "send", "theirs"]


async def test_a_name_of_another_app_is_taken_over_and_that_is_said(
    types: Any, store: Store, db: Database
) -> None:
    await store.types.register([TaskType(name="old")], app="other:app")
    done = types(*APPLY)
    assert "~ old  description null -> " not in done.stdout
    assert "was of other:app" in done.stdout
    app = "SELECT app FROM tidemill.task_types WHERE name = 'old'"
    assert await db.fetchval(app) == "mine:app"


def test_list_shows_apps_queues_and_defaults(types: Any) -> None:
    types(*APPLY, source=SECOND)
    shown = types("list")
    assert shown.returncode == 0, shown.stderr
    lines = [line.split() for line in shown.stdout.splitlines()]
    assert lines[1] == ["fresh", "mine:app", "-", "-", "-", "9.5", "s", "no"]
    assert lines[2] == ["send", "mine:app", "mail", "-", "5", "-", "no"]
    told = json.loads(types("list", "-o", "json").stdout)
    assert [(each["name"], each["paused"]) for each in told] == [("fresh", False), ("send", False)]
    assert told[1]["schema"]["required"] == ["to"]
