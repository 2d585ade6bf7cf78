"""What the cluster makes outside of its own folder, written down so that it can be undone."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from testbed import network, shell

if TYPE_CHECKING:
    from collections.abc import Iterable

    from testbed.paths import State


def make_folders(folders: Iterable[Path], state: State) -> None:
    """Make the folders that are not there; each is recorded before it is made."""
    for folder in folders:
        for missing in _missing(folder):
            _remember(state, str(missing))
            missing.mkdir()


def _missing(folder: Path) -> list[Path]:
    """Return the folders to make, from the top down."""
    return [path for path in [*reversed(folder.parents), folder] if not path.exists()]


def note_namespace_mount(state: State) -> None:
    """Record that `ip netns add` is about to make a mount of its folder, if it is none yet."""
    if not os.path.ismount(network.NAMESPACES):
        _remember(state, "mount")
    make_folders([network.NAMESPACES], state)


def undo(state: State) -> None:
    """Remove what was made and is not used by others; folders with content stay."""
    made = _made(state)
    if "mount" in made and os.path.ismount(network.NAMESPACES) and _empty(network.NAMESPACES):
        shell.run(["umount", str(network.NAMESPACES)], step="remove namespaces' mount")
    for entry in reversed([entry for entry in made if entry != "mount"]):
        folder = Path(entry)
        if folder.is_dir() and _empty(folder) and not os.path.ismount(folder):
            folder.rmdir()
    state.made.unlink(missing_ok=True)


def _empty(folder: Path) -> bool:
    return not any(folder.iterdir())


def _made(state: State) -> list[str]:
    """Return the record's entries; a record cut off by a kill ends where it was cut."""
    try:
        lines = state.made.read_text().splitlines()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in lines if line.endswith('"')]


def _remember(state: State, entry: str) -> None:
    """Add an entry, one JSON string a line."""
    with state.made.open("a") as file:
        file.write(json.dumps(entry) + "\n")
