"""The image that stands in for the official `postgres` image: see postgres/Dockerfile."""

from __future__ import annotations

from testbed.images.build import Request
from testbed.paths import SOURCE


def request(name: str, major: str) -> Request:
    """Return what to build for a major version of Postgres (16 or 18)."""
    return Request(folder=SOURCE / "postgres", name=name, arguments=(f"PG_MAJOR={major}",))
