"""`tidemill doctor` as a command: what it prints for people and for programs, its exit codes."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import psycopg

from tidemill.doctor import CHECKS


def tidemill(
    *arguments: str, url: str, stdout: int = subprocess.PIPE
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tidemill_cli", "doctor", *arguments],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
        env=os.environ | {"TIDEMILL_DATABASE_URL": url},
    )


def test_json_names_every_check_and_hides_the_password(database_url: str) -> None:
    done = tidemill("-o", "json", url=database_url)
    told = json.loads(done.stdout)
    assert {each["check"] for each in told["findings"]} == {each.name for each in CHECKS}
    for each in told["findings"]:
        assert list(each) == ["check", "level", "finding", "advice", "figures"]
        assert each["level"] in ("ok", "note", "warning", "problem")
        assert each["finding"]
    assert "***" in told["database"]
    password = database_url.partition("@")[0].rpartition(":")[2]
    assert password not in done.stdout


def test_the_worst_comes_first_and_advice_below_its_finding(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as session:
        session.execute("ALTER TABLE tidemill.leases RESET (fillfactor)")
    lines = tidemill(url=database_url).stdout.splitlines()
    levels = [line.split()[0] for line in lines[2:-2] if not line.startswith(" ")]
    ranks = ["problem", "warning", "note", "ok"]
    assert levels == sorted(levels, key=ranks.index)
    place = next(n for n, line in enumerate(lines) if "storage_settings" in line)
    assert lines[place].startswith("warning  storage_settings")
    assert "-> unless you know why, as owner: ALTER TABLE tidemill.leases SET" in lines[place + 1]
    assert " warning" in lines[-1]


def test_exit_codes(database_url: str) -> None:
    """The tests' server has fsync off, which is a problem."""
    assert tidemill(url=database_url).returncode == 1
    assert tidemill("--fail-on", "problem", url=database_url).returncode == 1
    assert tidemill("--fail-on", "never", url=database_url).returncode == 0


def test_no_database_is_one_line_and_exit_code_3() -> None:
    done = tidemill(url="postgresql://me:hidden@127.0.0.1:1/t")
    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("tidemill: the database cannot be used")
    assert "hidden" not in done.stderr


def test_colour_is_for_terminals(database_url: str) -> None:
    assert "\x1b[" not in tidemill(url=database_url).stdout
    ours, theirs = pty.openpty()
    try:
        tidemill(url=database_url, stdout=theirs)
        os.close(theirs)
        assert b"\x1b[31m" in os.read(ours, 65536)
    finally:
        os.close(ours)


def test_make_doctor_asks_about_the_database_of_this_machine(
    database_url: str, tmp_path: Path
) -> None:
    def doctor(**variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tidemill_cli.local.dev", "doctor"],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=os.environ | variables,
        )

    told = doctor(TIDEMILL_DATABASE_URL=database_url)
    assert "schema" in told.stdout
    assert told.stdout.splitlines()[-1].endswith(" ok")
    nothing = doctor(TIDEMILL_DATABASE_URL="", TIDEMILL_DATA_DIR=str(tmp_path))
    assert nothing.returncode == 1
    assert "`make run` is not running" in nothing.stderr
