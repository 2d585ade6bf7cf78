import re

import pytest

from bench import pgbench
from bench.case import BenchError
from tidemill import sql

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
        pgbench.drain_script(7, 40, 500),
        pgbench.enqueue_script(500),
        pgbench.function_script(500),
        pgbench.function_script(1),
    ],
    ids=["drain", "enqueue", "enqueue_many", "one"],
)
def test_a_script_names_only_variables_that_it_has(script: pgbench.Script) -> None:
    assert "$" not in script.text
    named = set(re.findall(r"(?<!:):(\w+)", script.text))
    made = set(re.findall(r" AS (\w+)", script.text)) | set(re.findall(r"\\set (\w+)", script.text))
    assert named <= set(script.variables) | made | {"client_id", "ready"}


def test_the_statements_are_those_of_the_files() -> None:
    """But for parameters and the row that wraps its answer, no word of the claim is missing."""
    words = re.sub(r"--[^\n]*|\$\d+|\b\d+(?=::)", " ", sql.load("claim")).split()
    script = re.sub(r":\w+(?=::)|ARRAY\[[^\]]*\](?=::)|\b(false|\d+)(?=::)", " ", _drain()).split()
    missing = [word for word in words if word not in script]
    assert missing == []


def test_the_answer_is_wrapped_into_one_row() -> None:
    statement = (
        "WITH a AS (\n    SELECT 1 AS x\n), b AS (\n    DELETE FROM t\n)\nSELECT x\n  FROM a"
    )
    assert pgbench.in_one_row(statement, "max(x) AS most") == (
        "WITH a AS (\n    SELECT 1 AS x\n), b AS (\n    DELETE FROM t\n), answer AS (\n"
        "SELECT x\n  FROM a\n)\nSELECT max(x) AS most FROM answer"
    )


def test_a_parameter_in_a_comment_is_none() -> None:
    bare = pgbench.with_variables(
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
    return pgbench.drain_script(7, 40, 500).text
