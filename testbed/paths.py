"""Where things are kept: the cache (builds, for all clusters) and the state (one cluster)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

SOURCE = Path(__file__).resolve().parent
STATE_VARIABLE = "TIDEMILL_TESTBED_STATE"
# A socket's path holds 107 bytes, and the longest below the state folder is containerd's.
LONGEST_STATE = 80


# `cron`, `su` and `sudo` leave some of these out; Go is where its own archive puts it.
PROGRAM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/go/bin")


def complete_path(environment: MutableMapping[str, str]) -> None:
    """Let programs be found where a user's PATH may not look, after where it does."""
    path = environment.get("PATH", "/usr/local/bin:/usr/bin:/bin").split(":")
    environment["PATH"] = ":".join([*path, *(f for f in PROGRAM_FOLDERS if f not in path)])


def _home(environment: Mapping[str, str], variable: str, fallback: str) -> Path:
    """Return an XDG base folder; a relative value is to be ignored, says that specification."""
    value = environment.get(variable, "")
    if value.startswith("/"):
        return Path(value)
    return Path(environment.get("HOME") or "/root") / fallback


@dataclass(frozen=True)
class Cache:
    """Builds that outlive every cluster. Safe to delete at any time."""

    root: Path

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Cache:
        """Return the cache folder that the environment asks for."""
        return cls(_home(environment, "XDG_CACHE_HOME", ".cache") / "tidemill")

    @property
    def binaries(self) -> Path:
        return self.root / "bin"

    @property
    def images(self) -> Path:
        return self.root / "images"

    @property
    def buildah(self) -> Path:
        return self.root / "buildah"

    @property
    def logs(self) -> Path:
        return self.root / "logs"


@dataclass(frozen=True)
class State:
    """The folder of one cluster. Only `lock` and `logs` are there after `down`."""

    root: Path

    @classmethod
    def of(cls, given: str | None, environment: Mapping[str, str]) -> State:
        """Return the state folder: the one given, the variable's, or the user's own.

        Raises:
            UsageError: the path is too long for the sockets inside it.
        """
        chosen = given or environment.get(STATE_VARIABLE)
        default = _home(environment, "XDG_STATE_HOME", ".local/state") / "tidemill" / "testbed"
        root = Path(chosen).expanduser().absolute() if chosen else default
        if len(str(root)) > LONGEST_STATE:
            raise UsageError(f"--state must be at most {LONGEST_STATE} characters long: {root}")
        return cls(root)

    @property
    def record(self) -> Path:
        """The cluster's settings; it exists from before the first effect until after the last."""
        return self.root / "cluster.json"

    @property
    def namespace(self) -> Path:
        """The file on which the network namespace is mounted."""
        return self.root / "namespace"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def kubeconfig(self) -> Path:
        return self.root / "kubeconfig"

    @property
    def pki(self) -> Path:
        return self.root / "pki"

    @property
    def config(self) -> Path:
        return self.root / "config"

    @property
    def processes(self) -> Path:
        return self.root / "processes"

    @property
    def data(self) -> Path:
        """What the components write: etcd's data, containers, volumes."""
        return self.root / "data"

    @property
    def volumes(self) -> Path:
        return self.data / "volumes"

    @property
    def containerd_socket(self) -> Path:
        return self.data / "containerd.sock"

    def log(self, name: str) -> Path:
        """Return the log file of a process or a step."""
        return self.logs / f"{name}.log"
