"""What is mounted on the host, from /proc/self/mountinfo.

`os.path.ismount` does not know a folder that is mounted from its own file system.
"""

from __future__ import annotations

from pathlib import Path

TABLE = Path("/proc/self/mountinfo")


def points(table: str | None = None) -> list[Path]:
    r"""Return the mount points; the kernel writes blanks in them as \040."""
    lines = (TABLE.read_text() if table is None else table).splitlines()
    return [Path(line.split()[4].replace(r"\040", " ")) for line in lines]


def below(folder: Path, table: str | None = None) -> list[Path]:
    """Return the mount points at or below a folder."""
    return [point for point in points(table) if point.is_relative_to(folder)]
