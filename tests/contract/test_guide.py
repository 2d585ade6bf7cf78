"""docs/guide.md is run as it stands: its files, its commands, their output."""

import ast
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.support import examples, pages, postgres
from tidemill.db import Database
from tidemill.schema import status

GUIDE = examples.REPOSITORY / "docs" / "guide.md"
BLOCKS = pages.blocks(GUIDE)
SETTINGS = "asyncio_default_fixture_loop_scope=function"


def test_no_block_is_left_out() -> None:
    assert {each.language for each in BLOCKS} == {"python", "console", "sql", "sh", "yaml"}
    assert all(each.file for each in BLOCKS if each.language == "python")
    assert len(BLOCKS) >= 30


@pytest.mark.timeout(900)
def test_the_guide_can_be_followed(
    tmp_path: Path, database_url: str, server: postgres.Server
) -> None:
    """Files are written as they come; each command runs beside a worker of the tasks so far."""
    ran: set[str] = set()
    for block in BLOCKS:
        if block.language == "python":
            block.write(tmp_path)
        elif block.language == "console":
            with examples.worker(database_url, "tasks:app", cwd=tmp_path):
                for command, told in block.commands():
                    printed = follow(command, database_url, server, tmp_path)
                    assert pages.same(told, printed), f"line {block.line}: {command}\n{printed}"
                    ran.add(shlex.split(command)[-1])
    for name in {each.file for each in BLOCKS if each.file} - ran:
        examples.run(database_url, "-c", f"import {name.removesuffix('.py')}", cwd=tmp_path)


def follow(command: str, url: str, server: postgres.Server, folder: Path) -> str:
    program, *arguments = shlex.split(command)
    if program == "python":
        return examples.run(url, *arguments, cwd=folder)
    assert program == "pytest", command
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-o", SETTINGS, *arguments],
        cwd=folder,
        env=examples.environment(url) | {"TIDEMILL_TEST_DATABASE_URL": server.url},
        capture_output=True,
        text=True,
        timeout=examples.LONGEST_SECONDS,
        check=False,
    )
    return done.stdout + done.stderr


async def test_its_sql_runs(db: Database) -> None:
    assert (await status(db)).fits
    for block in BLOCKS:
        if block.language == "sql":
            async with db.transaction() as session:
                await session.fetch(block.text)


def shell_lines() -> Iterator[list[str]]:
    for block in BLOCKS:
        if block.language == "sh":
            for line in block.text.splitlines():
                yield shlex.split(line)


@pytest.mark.parametrize("command", [line for line in shell_lines() if line[0] == "tidemill"])
def test_its_commands_have_these_options(command: list[str]) -> None:
    words = [each for each in command[1:] if re.fullmatch("[a-z]+", each)]
    done = subprocess.run(
        [sys.executable, "-m", "tidemill_cli", *words, "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    options = [each for each in command if each.startswith("--")]
    assert not [each for each in options if f" {each} " not in done.stdout.replace("\n", " ")]


def test_its_resources_are_valid() -> None:
    crd = yaml.safe_load((examples.REPOSITORY / "crds/taskqueues.tidemill.dev.yaml").read_text())
    schema: dict[str, Any] = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    found = [yaml.safe_load(each.text) for each in BLOCKS if each.language == "yaml"]
    for resource in found:
        assert resource["kind"] == "TaskQueue"
        jsonschema.validate(resource, schema)
        spec = schema["properties"]["spec"]["properties"]
        assert set(resource["spec"]) <= set(spec)
        for part in ("worker", "scaling"):
            assert set(resource["spec"][part]) <= set(spec[part]["properties"])
    assert found


def test_its_programs_can_be_read() -> None:
    """Each block is whole, and no line is too long for a page."""
    for block in BLOCKS:
        if block.language == "python":
            ast.parse(block.text)
            assert max(map(len, block.text.splitlines())) <= 100, block.line
