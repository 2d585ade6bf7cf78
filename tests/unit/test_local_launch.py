"""Starting a program that must not outlive its parent, by the kernel or by a watcher."""

import subprocess
import sys

import pytest

from tests.support.up import gone
from tests.support.waiting import until
from tidemill_cli.local import launch

CHILD = """\
import os, sys
from tidemill_cli.local import launch
launch.bind_to_parent(int(sys.argv[1]), 15, kernel=sys.argv[2] == "True")
os.execv("/bin/sleep", ["sleep", "600"])
"""
PARENT = """\
import os, subprocess, sys
command = [sys.executable, "-c", sys.argv[1], str(os.getpid()), sys.argv[2]]
process = subprocess.Popen(command)
print(process.pid, flush=True)
process.wait()
"""


@pytest.mark.parametrize("kernel", [True, False])
def test_a_child_dies_with_its_parent(kernel: bool) -> None:
    if kernel and sys.platform != "linux":
        pytest.skip("only Linux' kernel tells of a parent's death")
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, CHILD, str(kernel)], stdout=subprocess.PIPE, text=True
    )
    with parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        until(lambda: sleeping(child), seconds=60, what="the child became its program")
        parent.kill()
    gone({child: "sleep"}, seconds=60)


def sleeping(pid: int) -> bool:
    told = subprocess.run(
        ["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return told.stdout.startswith("sleep")


def test_a_watcher_does_not_stay_when_its_program_has_ended() -> None:
    script = (
        "import os; from tidemill_cli.local import launch; "
        "launch.bind_to_parent(os.getppid(), 15, kernel=False); print(os.getpid())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, timeout=60, check=True
    )
    assert done.stdout.strip()
    until(lambda: script not in processes(), seconds=60, what="the watcher has ended")


def processes() -> str:
    told = subprocess.run(["ps", "-axwwo", "args="], capture_output=True, text=True, check=True)
    return told.stdout


def test_what_cannot_be_run_is_one_line() -> None:
    done = subprocess.run(
        launch.command(["/no/such/program"], signal=0), capture_output=True, text=True, check=False
    )
    assert done.returncode == 126
    assert done.stderr == "/no/such/program: No such file or directory\n"
