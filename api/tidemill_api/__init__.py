"""The HTTP API: thin over core. `server.serve` runs it; `application` mounts it elsewhere."""

from tidemill_api.embedding import application

__all__ = ["application"]
