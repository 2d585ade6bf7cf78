"""`tidemill simulate`: what is played, what is printed, and what is refused."""

import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from tidemill_cli.commands.simulate import command


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(command, arguments, input=stdin, standalone_mode=False)


def told(*arguments: str, stdin: str | None = None) -> dict[str, Any]:
    result = run("-o", "json", *arguments, stdin=stdin)
    assert result.exception is None, result.exception
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def refusal(*arguments: str, stdin: str | None = None) -> str:
    error = run(*arguments, stdin=stdin).exception
    assert isinstance(error, click.ClickException)
    return error.format_message()


def test_the_default_is_a_spike_beside_the_others() -> None:
    lines = run().stdout.splitlines()
    assert [line.split("  ")[0] for line in lines] == [
        "scaler",
        "Tidemill",
        "HPA",
        "KEDA + HPA",
        "KEDA + HPA, tuned",
    ]
    assert len({len(line) for line in lines}) == 1  # columns stand below each other


@pytest.mark.parametrize("load", ["spike", "cron", "steady", "noise", "sawtooth"])
def test_each_load_is_played_to_its_end(load: str) -> None:
    found = told("--load", load, "--tasks", "7", "--duration-seconds", "600", "--runs", "1")
    for each in found["scalers"]:
        assert each["tasks"] > 0
        assert each["unfinished"] == 0
    assert found["scalers"][0]["stopped_busy"] == 0


def test_the_same_seed_prints_the_same() -> None:
    steady = ("--load", "steady", "--duration-seconds", "200", "--timeline", "--runs", "1")
    assert told(*steady) == told(*steady)
    assert told(*steady) != told(*steady, "--seed", "2")


def test_a_timeline_has_every_decision_with_its_reason() -> None:
    first, *later = told("--timeline", "--alone")["timeline"]
    assert first == {"at_seconds": 0.0, "replicas": 0, "reason": ""}
    assert [each["replicas"] for each in later] == [10, 0]
    assert all(each["reason"].endswith(f"{each['replicas']} replicas") for each in later)
    text = run("--timeline", "--alone").stdout
    assert "55.1 s     0  nothing to do for 30 s: 0 replicas" in text


def test_the_policy_is_the_one_that_was_asked_for() -> None:
    few = told("--max-replicas", "3", "--runs", "1")["scalers"]
    assert {each["most_replicas"] for each in few} == {3}
    quick = told("--target-wait-seconds", "1", "--max-replicas", "100", "--alone")["scalers"][0]
    assert quick["most_replicas"] > 20  # what the depth alone calls for
    kept = told("--min-replicas", "10", "--alone")["scalers"][0]
    assert kept["direction_changes"] == 0


def test_a_trace_is_played(tmp_path: Path) -> None:
    trace = tmp_path / "tasks.csv"
    trace.write_text("at_seconds,run_seconds,count\n0,1,3\n20.5,2,\n10,0.5,2\n")
    assert told("--trace", str(trace), "--runs", "1")["scalers"][0]["tasks"] == 6
    plain = "\ufeffrun_seconds,at_seconds\r\n1,0\r\n"  # as spreadsheets write it
    assert told("--trace", "-", "--runs", "1", stdin=plain)["scalers"][0]["tasks"] == 1


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "line 1: must be at_seconds,run_seconds or at_seconds,run_seconds,count (got n"),
        ("when,run_seconds\n", "line 1: must be at_seconds,run_seconds or"),
        ("at_seconds,run_seconds\n", "line 2: must be a task (got the end of the file)"),
        ("at_seconds,run_seconds\n1,2\n-1,2\n", "line 3, at_seconds: must be a number of at least"),
        ("at_seconds,run_seconds\n1,x\n", "line 2, run_seconds: must be a number of at least 0"),
        ("at_seconds,run_seconds\n1\n", "run_seconds: must be a number of at least 0 (got n"),
        ("at_seconds,run_seconds\n1,inf\n", "line 2, run_seconds: must be at most 2592000 (got '"),
        ("at_seconds,run_seconds\n1,nan\n", "line 2, run_seconds: must be a number of at least 0"),
        ("at_seconds,run_seconds\n9e9,1\n", "line 2, at_seconds: must be at most 2592000 (got '9"),
        ("at_seconds,run_seconds\n1,2,3\n", "line 2: must have 2 columns (got more)"),
        (f"at_seconds,run_seconds\n1,{'9' * 200_000}\n", "line 2: must be CSV (field larger"),
        ("at_seconds,run_seconds,count\n1,1,1.5\n", "line 2, count: must be a whole number"),
        ("at_seconds,run_seconds,count\n1,1,9999999\n", "line 2, count: must be at most 1000000"),
        ("at_seconds,run_seconds,count\n1,1,600000\n1,1,600000\n", "line 3: must be at most 1"),
    ],
)  # fmt: skip
def test_a_broken_trace_is_refused_by_line_column_rule_and_value(text: str, rule: str) -> None:
    assert rule in refusal("--trace", "-", stdin=text)


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (("--trace", "-", "--tasks", "3"), "--trace has tasks of its own: not with --tasks"),
        (("--min-replicas", "11"), "must be at most --max-replicas 10 (got 11)"),
        (("--plot", "a.doc"), "must end in .png, .svg or .pdf (got a.doc)"),
        (("--load", "steady", "--per-second", "1e6"), "the load must have 1 to 1000000 tasks"),
        (
            ("--plot", "/no/such/folder/a.svg", "--alone"),
            "/no/such/folder/a.svg could not be written",
        ),
    ],
)
def test_what_cannot_be_played_is_refused(arguments: tuple[str, ...], rule: str) -> None:
    assert rule in refusal(*arguments)


def _nothing(_: str) -> None:
    """Find no module."""


def test_without_matplotlib_a_plot_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidemill_cli.commands.simulate.find_spec", _nothing)
    assert refusal("--plot", "a.svg") == "--plot needs matplotlib: pip install 'tidemill[plot]'"


@pytest.mark.parametrize(("name", "magic"), [("a.png", b"\x89PNG"), ("a.svg", b"<?xml")])
def test_a_plot_is_drawn_and_drawn_alike_again(tmp_path: Path, name: str, magic: bytes) -> None:
    again = tmp_path / f"again-{name}"
    for to in (tmp_path / name, again):
        assert run("--plot", str(to), "--runs", "1").exception is None
    drawn = (tmp_path / name).read_bytes()
    assert drawn.startswith(magic)
    assert drawn == again.read_bytes()
    if name.endswith("svg"):
        assert b"KEDA + HPA, tuned" in drawn
