"""Keep the chart's copy of the resource definitions equal to crds/, their only source."""

import shutil
from pathlib import Path

from deploy.shell import ROOT

SOURCE = Path("crds")
COPY = Path("charts/tidemill/crds")


def differing(root: Path = ROOT) -> list[str]:
    """Return the names of files that are missing, stale or left over in the copy."""
    source, copy = _texts(root / SOURCE), _texts(root / COPY)
    return sorted(
        name for name in source.keys() | copy.keys() if source.get(name) != copy.get(name)
    )


def copy(root: Path = ROOT) -> list[str]:
    """Make the copy equal, and return the names of the files that changed."""
    changed = differing(root)
    for name in changed:
        if (root / SOURCE / name).exists():
            shutil.copyfile(root / SOURCE / name, root / COPY / name)
        else:
            (root / COPY / name).unlink()
    return changed


def _texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.glob("*.yaml")}
