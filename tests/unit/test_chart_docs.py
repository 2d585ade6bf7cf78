"""docs/chart.md: made from the values, which are all explained."""

import json
from pathlib import Path

import pytest

from tools import chart_docs

TEXT = """\
# What this is for.
section:
  # Above it.
  first: "#1" # beside it
  second: {}
  third: [] # [{name: …}]

# Far away.

last: 1
"""


def test_the_page_is_what_the_values_say() -> None:
    text = chart_docs.PAGE.read_text()
    assert text == chart_docs.page(text), "run `make docs`"


def test_every_value_is_explained() -> None:
    schema = json.loads((chart_docs.CHART / "values.schema.json").read_text())
    found = chart_docs.values((chart_docs.CHART / "values.yaml").read_text())
    assert len(found) > 150
    unexplained = [
        ".".join(each.path)
        for each in found
        if each.default and not each.meaning and not chart_docs.described(schema, each.path)
    ]
    assert unexplained == []


def test_comments_above_and_beside_are_the_meaning() -> None:
    found = {".".join(each.path): each for each in chart_docs.values(TEXT)}
    assert list(found) == ["section", "section.first", "section.second", "section.third", "last"]
    assert (found["section"].default, found["section"].meaning) == (None, "What this is for.")
    assert found["section.first"].meaning == "Above it. beside it"
    assert found["section.first"].default == '"#1"'
    assert (found["section.second"].default, found["section.second"].meaning) == ("{}", "")
    assert found["section.third"].meaning == "[{name: …}]"
    assert (found["last"].default, found["last"].meaning) == ("1", "")


def test_a_value_that_nobody_explains_is_refused(tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text("a:\n  b: 1\n")
    part = {"properties": {"b": {"type": "integer"}}}
    (tmp_path / "values.schema.json").write_text(json.dumps({"properties": {"a": part}}))
    with pytest.raises(ValueError, match=r"^a\.b has no meaning"):
        chart_docs.table(tmp_path)
