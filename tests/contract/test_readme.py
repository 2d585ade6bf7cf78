"""README.md's Python runs as it stands there."""

from pathlib import Path
from textwrap import indent

import pytest

from tests.support import examples, pages

PYTHON = [
    each for each in pages.blocks(examples.REPOSITORY / "README.md") if each.language == "python"
]
PROGRAM = """
import asyncio, os
import asyncpg
from mymodule import app, greet
from tidemill_worker import Worker
from tidemill_worker.testing import TestWorker

database_url = os.environ["TIDEMILL_DATABASE_URL"]

async def tested():
{tested}

async def enqueued():
    conn = await asyncpg.connect(database_url)
    async with Worker(app):
{enqueued}
        assert await handle.result(timeout=30) == "Hello, Ada! "
    await conn.close()

async def main():
    async with app.client:
        await tested()
        await enqueued()

asyncio.run(main())
print("ran")
"""


@pytest.mark.timeout(300)
def test_its_python_runs(tmp_path: Path, database_url: str) -> None:
    module, enqueued, tested = PYTHON
    assert module.file == "mymodule.py"
    module.write(tmp_path)
    program = PROGRAM.format(
        tested=indent(tested.text, " " * 4), enqueued=indent(enqueued.text, " " * 8)
    )
    (tmp_path / "program.py").write_text(program)
    assert examples.run(database_url, "program.py", cwd=tmp_path).endswith("ran\n")
