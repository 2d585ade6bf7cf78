"""Who runs the local Postgres: it refuses root, so root lends it to an account without rights."""

import os
import pwd
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tidemill_cli.local import launch

_NOBODY = 65534


@dataclass(frozen=True, slots=True)
class Account:
    """An operating system account. `foreign` is False for the one that we run as ourselves."""

    uid: int
    gid: int
    foreign: bool

    @property
    def user(self) -> tuple[int, int] | None:
        """What to change to, or None when nothing changes."""
        return (self.uid, self.gid) if self.foreign else None

    def run(
        self, program: list[str], *, stdin: str = "", folder: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run `program` to its end as this account, output captured; never raises on failure."""
        return subprocess.run(  # noqa: S603 - the program is one of ours or Postgres'
            launch.command(program, signal=signal.SIGKILL, user=self.user),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            cwd=folder or "/",
        )

    def own(self, path: Path) -> None:
        """Hand `path` to the account; nothing to do for our own."""
        if self.foreign:
            os.chown(path, self.uid, self.gid)

    def may_enter(self, folder: Path) -> bool:
        """Whether the account can reach into `folder`, all folders on the way included."""
        return self.run(["/usr/bin/env", "test", "-x", str(folder)]).returncode == 0


def account_for(data: Path) -> Account:
    """Return who is to run the Postgres whose files are (or will be) in `data`.

    Not root: ourselves. Root: the owner of files that are there already, else `postgres` or
    `nobody`, whichever this machine knows, else the uid that is nobody's by convention.
    """
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), foreign=False)
    if data.exists() and data.stat().st_uid != 0:
        owner = data.stat()
        return Account(owner.st_uid, owner.st_gid, foreign=True)
    for name in ("postgres", "nobody"):
        try:
            known = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(known.pw_uid, known.pw_gid, foreign=True)
    return Account(_NOBODY, _NOBODY, foreign=True)
