"""Run the commands: each function is one command and returns the exit code."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from testbed import (
    arguments,
    background,
    binaries,
    forward,
    health,
    locking,
    node,
    prerequisites,
    progress,
    teardown,
)
from testbed import cluster as clusters
from testbed.errors import BedError, PrerequisiteError, UsageError
from testbed.images import build as image_build
from testbed.images import postgres
from testbed.paths import Cache, State, complete_path
from testbed.up import Request, up

if TYPE_CHECKING:
    import argparse
    from types import FrameType

    from testbed.progress import Say

NO_CLUSTER = 3


def main(argv: list[str]) -> int:
    """Run the command that is given and return its exit code."""
    own, passed = arguments.split(argv)
    given = arguments.parser().parse_args(own)
    given.arguments = passed
    # A terminal that closes and a service manager that stops us are a Ctrl-C to `up`.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    complete_path(os.environ)
    try:
        state = State.of(getattr(given, "state", None), os.environ)
        return COMMANDS[given.command](given, state, Cache.of(os.environ), progress.timed())
    except BedError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:  # a full disk, a right that is missing: the text names the file
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _up(given: argparse.Namespace, state: State, cache: Cache, say: Say) -> int:
    request = Request(given.control_plane_only, given.name, given.hpa_sync_seconds)
    cluster = up(request, state, cache, say)
    say(f"cluster {cluster.name} is up: {cluster.addresses.server}")
    default = state.root == State.of(None, {**os.environ, "TIDEMILL_TESTBED_STATE": ""}).root
    option = "" if default else f" --state {state.root}"
    print(f"export KUBECONFIG={state.kubeconfig}")
    print(f"python3 -m testbed{option} kubectl get all -A")
    print(f"python3 -m testbed{option} down")
    return 0


def _down(given: argparse.Namespace, state: State, cache: Cache, say: Say) -> int:
    del cache
    with locking.exclusive(state, say):
        teardown.down(state, given.name, say)
    return 0


def _status(given: argparse.Namespace, state: State, cache: Cache, say: Say) -> int:
    del cache, say
    seen = health.look(state)
    word = "none" if seen is None else "whole" if seen.whole else "broken"
    code = {"none": NO_CLUSTER, "whole": 0, "broken": 1}[word]
    if given.output == "json":
        details: dict[str, object] = {"state": word, "folder": str(state.root)}
        if seen is not None:
            details |= {**asdict(seen), "mode": seen.cluster.mode, "problems": seen.problems()}
            details |= {"server": seen.cluster.addresses.server}
            details |= {"kubeconfig": str(state.kubeconfig)}
        print(json.dumps(details, indent=2))
    elif seen is None:
        print(f"no cluster in {state.root}")
    else:
        print(f"cluster {seen.cluster.name} ({seen.cluster.mode}) is {word}")
        for name, pid in seen.processes.items():
            print(f"  {name:12} {pid or 'does not run'}")
        for problem in seen.problems():
            print(f"  problem: {problem}")
    return code


def _kubeconfig(given: argparse.Namespace, state: State, cache: Cache, say: Say) -> int:
    del given, cache, say
    clusters.need(state)
    print(state.kubeconfig)
    return 0


def _forward(given: argparse.Namespace, state: State, cache: Cache, say: Say) -> int:
    del cache
    cluster = clusters.need(state)
    wanted = forward.parse(given.port, given.target, cluster)
    background.start_forward(cluster, state, wanted)
    say(f"127.0.0.1:{wanted.port} leads to {wanted.target_host}:{wanted.target_port}")
    return 0


def _load(given: argparse.Namespace, state: State, cache: Cache, say: Say) -> int:
    del cache
    clusters.need(state)
    archive = Path(given.archive).absolute()
    if not archive.is_file():
        raise UsageError(f"no such file: {archive}")
    for name in node.import_image(archive, state):
        say(f"imported {name}")
    return 0


def _build(given: argparse.Namespace, state: State, cache: Cache, say: Say) -> int:
    request = image_build.Request(
        folder=Path(given.folder),
        name=given.name,
        arguments=tuple(given.build_arg),
        dockerfile=Path(given.file) if given.file else None,
    )
    return _build_and_import(request, given.archive, state, cache, say)


def _build_postgres(given: argparse.Namespace, state: State, cache: Cache, say: Say) -> int:
    request = postgres.request(given.name, given.major)
    return _build_and_import(request, given.archive, state, cache, say)


def _build_and_import(
    request: image_build.Request, archive: str | None, state: State, cache: Cache, say: Say
) -> int:
    if archive is not None:
        image_build.build(request, Path(archive).absolute(), cache, say)
        say(f"written to {archive}")
        return 0
    clusters.need(state)
    with tempfile.TemporaryDirectory(prefix="tidemill-image-") as folder:
        target = Path(folder) / "image.tar"
        image_build.build(request, target, cache, say)
        for name in node.import_image(target, state):
            say(f"imported {name}")
    return 0


def _which(given: argparse.Namespace, state: State, cache: Cache, say: Say) -> int:
    del state
    for name in given.program:
        print(_program(name, cache, say))
    return 0


def _program(name: str, cache: Cache, say: Say) -> Path:
    if name == "kubectl":
        return binaries.ensure_kubectl(cache, say)
    return binaries.ensure(binaries.PROGRAMS[name], cache, say)


def _pass_through(given: argparse.Namespace, state: State, cache: Cache, say: Say) -> int:
    """Become kubectl or helm, with the cluster's kubeconfig."""
    clusters.need(state)
    program = _program(given.command, cache, say)
    environment = {**os.environ, "KUBECONFIG": str(state.kubeconfig)}
    os.execve(program, [str(program), *given.arguments], environment)  # noqa: S606 - no shell


def _prerequisites(given: argparse.Namespace, state: State, cache: Cache, say: Say) -> int:
    del state, say
    found = prerequisites.checks(cache, control_plane_only=given.control_plane_only)
    if given.output == "json":
        print(json.dumps([asdict(check) for check in found], indent=2))
    else:
        for check in found:
            print(
                f"ok       {check.name}" if check.met else f"MISSING  {check.name}: {check.advice}"
            )
    return 0 if all(check.met for check in found) else PrerequisiteError.exit_code


COMMANDS = {
    "up": _up,
    "down": _down,
    "status": _status,
    "kubeconfig": _kubeconfig,
    "forward": _forward,
    "load": _load,
    "build": _build,
    "build-postgres": _build_postgres,
    "kubectl": _pass_through,
    "helm": _pass_through,
    "helm3": _pass_through,
    "which": _which,
    "prerequisites": _prerequisites,
}
