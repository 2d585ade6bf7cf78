"""Where `tidemill up` keeps its Postgres."""

import os
from collections.abc import Mapping
from pathlib import Path

from tidemill_cli.local.account import account_for

_FOR_ROOT = Path("/var/lib/tidemill")


def data_dir(asked: str, environ: Mapping[str, str]) -> Path:
    """Return the folder asked for, else $XDG_DATA_HOME/tidemill.

    Root's home is usually closed to the account that runs Postgres for root; then, and only when
    nothing was asked for, it is /var/lib/tidemill.
    """
    if asked:
        return Path(asked).expanduser().absolute()
    home = environ.get("XDG_DATA_HOME") or "~/.local/share"
    usual = Path(home).expanduser().absolute() / "tidemill"
    if os.geteuid() == 0 and not _reachable(usual):
        return _FOR_ROOT
    return usual


def _reachable(folder: Path) -> bool:
    nearest = next(each for each in (folder, *folder.parents) if each.exists())
    return account_for(folder / "postgres").may_enter(nearest)
