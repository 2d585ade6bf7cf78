"""schemathesis against a real server: `make fuzz`, and tests/contract/test_api_schema.py.

`python -m tests.support.schema_fuzz [SECONDS [OPTION...]]` starts a Postgres and a server of its
own, fills them and fuzzes with a random seed; options are those of `st run`.
"""

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from tests.support import postgres
from tests.support.api_process import REPOSITORY, api_process
from tests.support.seeds import seed
from tidemill.db import Database
from tidemill.schema import migrate
from tidemill.store import Store
from tidemill_api.routes import ENDPOINTS

CONFIG: Final = Path(__file__).with_name("schemathesis.toml")
SECONDS: Final = "600"
STREAMS: Final = [
    each.name
    for each in ENDPOINTS
    if any(reply.media == "text/event-stream" for reply in each.replies.values())
]
"""Operations whose answers have no end."""

_START: Final = "from schemathesis.cli import schemathesis; schemathesis()"


@dataclass(frozen=True, slots=True)
class Run:
    """A run: what it printed, whether it found nothing, and the answers that it got."""

    clean: bool
    output: str
    answers: Counter[int]
    operations: frozenset[tuple[str, str]]
    """Method and path of each operation that was asked"""

    def told(self) -> str:
        """Return the figures that a release report quotes."""
        answers = dict(sorted(self.answers.items()))
        return f"schemathesis: {self.answers.total()} requests, answers: {answers}\n"


async def fuzz(url: str, *options: str) -> Run:
    """Run schemathesis with all checks against the server at `url`."""
    with TemporaryDirectory() as folder:
        report = Path(folder, "report.ndjson")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _START, "--config-file", str(CONFIG)),
            *("run", f"{url}/openapi.json", "--checks", "all", "--no-color"),
            *(part for name in STREAMS for part in ("--exclude-operation-id", name)),
            *("--report", "ndjson", "--report-ndjson-path", str(report), *options),
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        calls = list(_calls(report))
    return Run(
        clean=process.returncode == 0,
        output=output.decode(),
        answers=Counter(status for _, status in calls),
        operations=frozenset(operation for operation, _ in calls),
    )


def _calls(report: Path) -> Iterator[tuple[tuple[str, str], int]]:
    """Yield method, path and the answer's status (0: none came) of each request of a report."""
    lines = report.read_text().splitlines() if report.exists() else []
    for line in lines:
        recorder: dict[str, Any] = json.loads(line).get("ScenarioFinished", {}).get("recorder", {})
        for key, call in recorder.get("interactions", {}).items():
            case = recorder["cases"][key]["value"]
            answer = call.get("response")
            yield (case["method"], case["path"]), answer["status_code"] if answer else 0


async def _main(seconds: str = SECONDS, *options: str) -> int:
    with postgres.private_server() as server:
        settings = postgres.settings_of(server.url("postgres"))
        db = Database.of(settings, application="fuzz")
        try:
            await migrate(db)
            async with api_process(settings) as http:
                await seed(Store.of(db))
                url = str(http._base_url).rstrip("/")
                run = await fuzz(url, "--max-time", seconds, *options)
        finally:
            await db.close()
    sys.stdout.write(run.output + run.told())
    return 0 if run.clean else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(_main(*sys.argv[1:])))
