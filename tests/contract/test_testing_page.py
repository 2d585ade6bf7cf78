"""docs/testing.md is a suite of tests: it is run as it stands."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support import examples, pages, postgres

PAGE = examples.REPOSITORY / "docs" / "testing.md"
INI = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""


@pytest.mark.timeout(300)
def test_its_tests_pass(tmp_path: Path, server: postgres.Server) -> None:
    (tmp_path / "pytest.ini").write_text(INI)
    told = 0
    for block in pages.blocks(PAGE):
        if block.language == "python":
            assert block.file, f"line {block.line}: in which file?"
            block.write(tmp_path)
            told += block.text.count("def test_")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env=examples.environment(server.url) | {"TIDEMILL_TEST_DATABASE_URL": server.url},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert f"{told} passed" in done.stdout, done.stdout + done.stderr
    assert told > 10


def test_its_yaml_can_be_read() -> None:
    found = [each for each in pages.blocks(PAGE) if each.language == "yaml"]
    assert found
    assert all(yaml.safe_load(each.text) for each in found)
