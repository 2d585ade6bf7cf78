import re

import pytest

from bench import arguments, pgbench, scripts
from bench.case import BenchError
from tidemill import sql

CLAIMS = scripts.Claims(queue_id=7, first_worker=40)
OUTPUT = """\
transaction type: script.sql
number of transactions actually processed: {done}/60
number of failed transactions: 0 (0.000%)
latency average = 21.5 ms
tps = 120.000000 (without initial connection time)
"""


@pytest.mark.parametrize(
    "script",
    [
        scripts.drain_script(CLAIMS, 500),
        scripts.steady_script(CLAIMS, 500),
        scripts.arrival_script(CLAIMS),
        scripts.enqueue_script(500),
        scripts.function_script(500),
        scripts.function_script(1),
    ],
    ids=["drain", "steady", "arrival", "enqueue", "enqueue_many", "one"],
)
def test_a_script_names_only_variables_that_it_has(script: scripts.Script) -> None:
    assert "$" not in script.text
    named = set(re.findall(r"(?<!:):(\w+)", script.text))
    made = set(re.findall(r" AS (\w+)", script.text)) | set(re.findall(r"\\set (\w+)", script.text))
    assert named <= set(script.variables) | made | {"client_id", "ready"}


def test_the_statements_are_those_of_the_files() -> None:
    """But for parameters and the row that wraps its answer, no word of the claim is missing."""
    claim = sql.load("claim")
    script = scripts.drain_script(CLAIMS, 500).text
    for number, value in sorted(arguments.claim().items(), reverse=True):
        claim = claim.replace(f"${number}", value)
    words = re.sub(r"--[^\n]*", " ", claim).split()
    assert [word for word in words if word not in script.split()] == []


def test_the_claim_starts_where_the_memory_would() -> None:
    given = list(arguments.claim().values())
    assert {":worker", ":batch"} <= set(given)
    assert "ARRAY[:queue_id, :queue_id]" in given
    assert "ARRAY[0, :floor]" in given


def test_the_answer_is_wrapped_into_one_row() -> None:
    statement = (
        "WITH a AS (\n    SELECT 1 AS x\n), b AS (\n    DELETE FROM t\n)\nSELECT x\n  FROM a"
    )
    assert scripts.in_one_row(statement, "max(x) AS most") == (
        "WITH a AS (\n    SELECT 1 AS x\n), b AS (\n    DELETE FROM t\n), answer AS (\n"
        "SELECT x\n  FROM a\n)\nSELECT max(x) AS most FROM answer"
    )


def test_a_parameter_in_a_comment_is_none() -> None:
    bare = scripts.with_variables(
        "-- $9: nothing\nSELECT $1::bigint, $12::text", {1: ":a", 12: ":b"}
    )
    assert bare == "SELECT :a::bigint, :b::text"


def test_the_time_is_that_of_the_transactions() -> None:
    assert pgbench.seconds_of(OUTPUT.format(done=60), 60) == pytest.approx(0.5)


def test_a_run_that_did_less_is_refused() -> None:
    with pytest.raises(BenchError, match="did not do its 60 transactions"):
        pgbench.seconds_of(OUTPUT.format(done=59), 60)


def test_a_setting_with_a_space_stays_one_setting() -> None:
    assert (
        pgbench.options({"jit": "off", "a": "read committed"}) == r"-c jit=off -c a=read\ committed"
    )


def _drain() -> str:
    return scripts.drain_script(CLAIMS, 500).text


def test_arguments_become_text() -> None:
    assert arguments.text([1, None, True]) == "ARRAY[1, NULL, true]"
    assert arguments.text(30.0) == "30"
    with pytest.raises(TypeError):
        arguments.text("x")


def test_the_claim_is_found_in_a_report_by_command() -> None:
    report = "latencies:\n   0.003     0  \\set worker 1\n   0.412     0  WITH worker AS M\n"
    assert pgbench.claim_of(report) == pytest.approx(0.412)
    with pytest.raises(BenchError):
        pgbench.claim_of("nothing")


def test_latencies_are_the_third_column() -> None:
    assert pgbench.latencies_of("0 1 1500 0 17 3\n0 2 250 0 17 4\n") == [1.5, 0.25]


def test_a_run_that_did_nothing_is_refused() -> None:
    with pytest.raises(BenchError, match="did nothing"):
        pgbench.done("tps = 0.0 (without initial connection time)")
