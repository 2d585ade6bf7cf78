"""Logins with one role each, for tests of what a role may do."""

import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

from tidemill.db import Database


@asynccontextmanager
async def login(db: Database, url: str, role: str) -> AsyncGenerator[tuple[str, str]]:
    """Yield the name of a new login with `role`, and its address of the database at `url`."""
    user = f"u_{secrets.token_hex(4)}"
    await db.execute(f"CREATE ROLE {user} LOGIN PASSWORD 'pw' IN ROLE {role}")
    parts = urlsplit(url)
    netloc = f"{user}:pw@{parts.hostname}:{parts.port}"
    try:
        yield user, urlunsplit(parts._replace(netloc=netloc))
    finally:
        await db.execute(f"DROP OWNED BY {user}")
        await db.execute(f"DROP ROLE {user}")
