"""Tokens for tests: a set of them as the API is configured, and headers that carry one."""

import hashlib
import json
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

from tests.support.http import Answer, ask


def entry(name: str, *scopes: str, token: str = "", **more: Any) -> dict[str, Any]:
    """Return a token's entry; the token is its name unless given."""
    digest = hashlib.sha256((token or name).encode()).hexdigest()
    return {"name": name, "sha256": digest, "scopes": list(scopes), **more}


def text_of(*entries: dict[str, Any]) -> str:
    """Return the JSON of these tokens."""
    return json.dumps({"tokens": entries})


def swap(folder: Path, generation: int, text: str) -> Path:
    """Put `text` where a Secret's volume has it, by swapping the link to its folder."""
    made = folder / f"..{generation}"
    made.mkdir()
    (made / "tokens.json").write_text(text)
    link = folder / "..new"
    link.symlink_to(made.name)
    link.replace(folder / "..data")
    place = folder / "tokens.json"
    if not place.is_symlink():
        place.symlink_to("..data/tokens.json")
    return place


def bearer(token: str) -> dict[str, str]:
    """Return the header that carries `token`."""
    return {"Authorization": f"Bearer {token}"}


async def call(
    http: ClientSession, token: str | None, method: str, path: str, **options: Any
) -> Answer:
    """Ask with a token."""
    return await ask(http, method, path, headers=bearer(token) if token else {}, **options)
