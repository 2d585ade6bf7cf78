"""The port of a local Postgres: the same from start to start, so that addresses stay true."""

import contextlib
import socket
from pathlib import Path

HOST = "127.0.0.1"


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on right now."""
    return _bound(0)


def kept_port(kept: Path) -> int:
    """Return the port that `kept` names, or, where somebody listens there by now, keep another."""
    with contextlib.suppress(OSError, ValueError, OverflowError):
        return _bound(int(kept.read_text()))
    port = free_port()
    kept.write_text(f"{port}\n")
    return port


def _bound(asked: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((HOST, asked))
        port: int = probe.getsockname()[1]
        return port
