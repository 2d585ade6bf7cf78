"""`sql/schema.sql`: the schema that all migrations make, as one pinned Postgres describes it.

`python -m tests.support.schema_dump` (`make schema`) writes it anew; a test compares. Left out is
what differs without meaning: the daily partitions, the session's settings, versions and tokens.
"""

import asyncio
import re
import subprocess
import sys
from pathlib import Path

from tests.support import postgres
from tidemill import sql
from tidemill.db import Database
from tidemill.schema import migrate
from tidemill_cli.local.postgres import EmbeddedPostgres

MAJOR = 18
FILE = Path(sql.__file__).with_name("schema.sql")

_HEAD = f"""\
-- What the migrations make, for reading and comparing: Postgres {MAJOR}, daily partitions left out.
-- Never applied. Written by `make schema`.

"""
_PARTITIONS = "tidemill.(tasks|attempts)_2*"
_NOISE = re.compile(r"^(SET |SELECT pg_catalog\.set_config|\\(un)?restrict |--)")


def current() -> str:
    """Return the schema of a new database, normalised."""
    with postgres.private_server(MAJOR) as server:
        asyncio.run(_migrated(server.url()))
        return _HEAD + normalised(_dumped(server))


def normalised(dump: str) -> str:
    """Return a dump without what differs between runs and releases of one major version."""
    lines = [line for line in dump.splitlines() if not _NOISE.match(line)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


def _dumped(server: EmbeddedPostgres) -> str:
    if server.install is None:
        raise ValueError("the server has not been started")
    program = [server.install.program("pg_dump"), "--schema-only", "--schema=tidemill"]
    program += [f"--exclude-table={_PARTITIONS}", server.url()]
    return subprocess.run(program, check=True, capture_output=True, text=True).stdout


async def _migrated(url: str) -> None:
    db = Database.of(postgres.settings_of(url), application="schema")
    try:
        await migrate(db)
    finally:
        await db.close()


if __name__ == "__main__":
    FILE.write_text(current(), encoding="utf-8")
    sys.stdout.write(f"wrote {FILE}\n")
