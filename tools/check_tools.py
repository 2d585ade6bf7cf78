"""`make check-tools`: what this machine has, and what each tool is needed for. Standard library."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tool:
    """A program, how to ask it for its version, and the commands that need it."""

    name: str
    version: tuple[str, ...]
    needed_for: str
    required: bool = False


TOOLS = (
    Tool("make", ("--version",), "every command here", required=True),
    Tool("git", ("--version",), "contributing"),
    Tool("psql", ("--version",), "make db-shell (else the one of the embedded Postgres)"),
    Tool("docker", ("info", "--format", "{{.ServerVersion}}"), "make up, run-k8s with kind"),
    Tool("kind", ("--version",), "make run-k8s with a Docker engine"),
    Tool("kubectl", ("version", "--client"), "make run-k8s, cluster tests with kind"),
    Tool("helm", ("version", "--short"), "make run-k8s with kind (the test bed builds its own)"),
    Tool("go", ("version",), "the test bed (a cluster without a Docker engine), examples/sql/go"),
    Tool("containerd", ("--version",), "the test bed's node (Linux, root)"),
    Tool("buildah", ("--version",), "building images for the test bed"),
    Tool("node", ("--version",), "nothing: pyright brings its own"),
)


def found(tool: Tool) -> str | None:
    """Return the version of `tool` here, or None."""
    path = shutil.which(tool.name)
    if path is None:
        return None
    try:
        told = subprocess.run(  # noqa: S603 - a fixed list of programs
            [path, *tool.version], capture_output=True, text=True, check=True, timeout=20
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.search(r"v?\d+\.\d+[.\w+-]*", told)
    return version[0] if version else "present"


def main() -> int:
    """Print the table; return 1 when something is missing that everything needs."""
    python = sys.version_info >= (3, 11)
    print(
        f"{'ok' if python else 'MISSING':8} {'python':12} {sys.version.split()[0]:22} all (3.11+)"
    )
    missing = not python
    for tool in TOOLS:
        version = found(tool)
        mark = "ok" if version else ("MISSING" if tool.required else "-")
        print(f"{mark:8} {tool.name:12} {version or 'not usable here':22} {tool.needed_for}")
        missing = missing or (tool.required and version is None)
    print(f"{'ok' if os.geteuid() == 0 else '-':8} {'root':12} {'':22} the test bed's node")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
