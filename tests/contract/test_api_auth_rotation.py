"""The file of tokens beside a real `tidemill api`: changes, and faults that are told."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from tests.support import storage
from tests.support.api_process import REPOSITORY, api_process
from tests.support.tokens import bearer, entry, swap, text_of
from tidemill.settings import Settings

OLD, NEW = "tm_the-old-token-of-ci", "tm_the-new-token-of-ci"
USAGE = 2


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """A folder where files change as in the volume of a Secret."""
    folder = tmp_path / "secret"
    folder.mkdir()
    return folder


def ci(*tokens: str) -> str:
    return text_of(entry("scraper", "read"), *(entry("ci", "read", token=t) for t in tokens))


async def test_tokens_change_without_a_restart_and_a_broken_file_changes_nothing(
    settings: Settings, volume: Path, tmp_path: Path
) -> None:
    place, log = swap(volume, 1, ci(OLD)), tmp_path / "api.log"
    async with api_process(settings, log=log, TIDEMILL_TOKENS_FILE=str(place)) as http:

        async def status(token: str) -> int:
            async with http.get("/api/queues", headers=bearer(token)) as answer:
                return answer.status

        async def stale(value: str) -> bool:
            async with http.get("/metrics", headers=bearer("scraper")) as answer:
                return f"tidemill_api_tokens_stale {value}" in await answer.text()

        async def is_in(token: str) -> bool:
            return await status(token) == 200

        async def is_out(token: str) -> bool:
            return await status(token) == 401

        assert (await status(OLD), await status(NEW)) == (200, 401)
        swap(volume, 2, ci(OLD, NEW))
        await storage.until(lambda: is_in(NEW))
        assert await status(OLD) == 200
        swap(volume, 3, ci(NEW))
        await storage.until(lambda: is_out(OLD))
        swap(volume, 4, ci(OLD).replace('"read"', '"reed"'))
        await storage.until(lambda: stale("1.0"))
        assert (await status(NEW), await status(OLD)) == (200, 401)
        (volume / "..data").unlink()
        await storage.until(lambda: said(log, "No such file"))
        assert await status(NEW) == 200
        swap(volume, 5, ci(OLD))
        await storage.until(lambda: is_in(OLD))
        assert await stale("0.0")
    lines = log.read_text()
    assert "TIDEMILL_TOKENS_FILE: tokens[0].scopes[0]: must be one of" in lines
    assert "NOT up to date" in lines
    assert not [token for token in (OLD, NEW) if token in lines]


async def said(log: Path, text: str) -> bool:
    """Return whether the log has it."""
    return text in await asyncio.to_thread(log.read_text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"tokens": [', "TIDEMILL_TOKENS_FILE: "),
        (
            text_of({"name": "ci", "sha256": OLD, "scopes": ["read"]}),
            "TIDEMILL_TOKENS_FILE: tokens[0].sha256: must match",
        ),
        (text_of(entry("ci", "read", queue="mail")), "tokens[0].queue: is not a known field"),
    ],
)
async def test_a_broken_file_at_the_start_is_refused_by_field_and_rule(
    database_url: str, tmp_path: Path, text: str, told: str
) -> None:
    place = tmp_path / "tokens.json"
    place.write_text(text)
    code, error = await started(database_url, TIDEMILL_TOKENS_FILE=str(place))
    assert (code, told in error, OLD in error) == (USAGE, True, False), error


async def test_a_missing_file_and_two_sources_are_refused(
    database_url: str, tmp_path: Path
) -> None:
    nowhere = str(tmp_path / "none.json")
    code, error = await started(database_url, TIDEMILL_TOKENS_FILE=nowhere)
    assert (code, "No such file" in error) == (USAGE, True), error
    code, error = await started(database_url, TIDEMILL_TOKENS_FILE=nowhere, TIDEMILL_TOKENS="{}")
    assert (code, "only one of them" in error) == (USAGE, True), error


async def started(database_url: str, **environ: str) -> tuple[int | None, str]:
    """Return the exit code and the last words of a `tidemill api` that does not start."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tidemill_cli", "api", "--port", "1"),
        cwd=REPOSITORY,
        env=os.environ | {"TIDEMILL_DATABASE_URL": database_url} | environ,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, error = await process.communicate()
    return process.returncode, error.decode()
