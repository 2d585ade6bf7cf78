"""docs/http-api.md, http-workers.md: every command is run and answers with the status shown."""

import asyncio
import re
from pathlib import Path

import aiohttp
import pytest

from tests.support import storage
from tests.support.http import enqueue
from tidemill.states import Outcome
from tidemill.store import Store

DOCS = Path(__file__).parents[2] / "docs"
# The answer goes to $ANSWER; what a reader would see of it is its status.
PREAMBLE = r"""
set -euo pipefail
curl() {
    command curl -s -o "$ANSWER" -w '%{http_code}\n' "${@/localhost:8080/$HOST}"
}
"""


def blocks(page: str) -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


async def statuses(block: str, **environ: str) -> list[int]:
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", PREAMBLE + block),
        env={"PATH": "/usr/bin:/bin", **environ},
        stdout=asyncio.subprocess.PIPE,
    )
    told, _ = await process.communicate()
    assert process.returncode == 0
    return [int(line) for line in told.split()]


@pytest.mark.parametrize(("page", "least"), [("http-api.md", 30), ("http-workers.md", 7)])
async def test_every_command_answers_as_the_page_says(
    http: aiohttp.ClientSession, store: Store, tmp_path: Path, page: str, least: int
) -> None:
    await storage.enqueue(store)
    claimed = await storage.claim(store, await storage.worker(store))
    await store.leases.finish(storage.ends(claimed, Outcome.FAILED))
    task = (await enqueue(http)).json["id"]
    commands = 0
    for block in blocks(page):
        expected = [int(status) for status in re.findall(r"# (\d{3})$", block, re.MULTILINE)]
        assert len(expected) == len(re.findall(r"^curl ", block, re.MULTILINE)), block
        found = await statuses(
            block,
            HOST=str(http._base_url).removeprefix("http://").rstrip("/"),
            ID=task,
            DEAD=str(claimed[0].id),
            ANSWER=str(tmp_path / "answer"),
        )
        assert found == expected, block
        commands += len(found)
    assert commands >= least
