"""A stand-in for `kind`, so that pytest-kind and scripts made for kind work on the test bed.

    bin-kind get clusters
    bin-kind get kubeconfig [--name NAME]
    bin-kind export kubeconfig [--name NAME] [--kubeconfig FILE]
    bin-kind create cluster [--name NAME] [--kubeconfig FILE]     what `up` does
    bin-kind delete cluster [--name NAME] [--kubeconfig FILE]     what `down` does
    bin-kind load image-archive FILE [--name NAME]
    bin-kind load docker-image IMAGE...        checks that `build` or `load` brought them in

The state folder is the default one, or the one of TIDEMILL_TESTBED_STATE. The options
`--image`, `--config` and `--wait` are read and ignored: the test bed has one kind of node.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from testbed import cluster as clusters
from testbed import locking, node, progress, teardown
from testbed.errors import BedError, NotUpError, UsageError
from testbed.paths import Cache, State, complete_path
from testbed.up import Request, up

if TYPE_CHECKING:
    from testbed.cluster import Cluster

# pytest-kind touches its file before `create`; kind writes into it, and so do we.
KUBECONFIG_MODE = 0o600


def parser() -> argparse.ArgumentParser:
    """Return the parser of kind's commands, as far as they have a meaning here."""
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument("--name", default=None)
    options.add_argument("--kubeconfig", default=None)
    for ignored in ("--image", "--config", "--wait"):
        options.add_argument(ignored, help=argparse.SUPPRESS)
    main_parser = argparse.ArgumentParser(
        prog="bin-kind",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = main_parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    known = {
        "get": ["clusters", "nodes", "kubeconfig"],
        "export": ["kubeconfig"],
        "create": ["cluster"],
        "delete": ["cluster"],
        "load": ["docker-image", "image-archive"],
    }
    for action, things in known.items():
        command = actions.add_parser(action, parents=[options])
        command.add_argument("thing", choices=things)
        if action == "load":
            command.add_argument("items", nargs="+")
    actions.add_parser("version")
    return main_parser


def main(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    given = parser().parse_args(arguments)
    complete_path(os.environ)
    try:
        _run(given, State.of(None, os.environ))
    except BedError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _run(given: argparse.Namespace, state: State) -> None:
    if given.action == "version":
        print("the kind stand-in of tidemill's test bed")
    elif given.action == "create":
        _create(given, state)
    elif given.action == "delete":
        _delete(given, state)
    elif given.action == "load":
        _load(given, state)
    elif given.thing in ("clusters", "nodes"):
        cluster = clusters.load(state)
        print(cluster.name if cluster else "", end="\n" if cluster else "")
    else:
        _kubeconfig(given, state)


def _named(given: argparse.Namespace, state: State) -> Cluster:
    """Return the cluster, which must be the one that the command names."""
    cluster = clusters.need(state)
    if given.name not in (None, cluster.name):
        raise NotUpError(f"no cluster {given.name!r}: {state.root} holds {cluster.name!r}")
    return cluster


def _create(given: argparse.Namespace, state: State) -> None:
    request = Request(control_plane_only=False, name=given.name)
    up(request, state, Cache.of(os.environ), progress.timed())
    if given.kubeconfig:
        _write(state, Path(given.kubeconfig))


def _delete(given: argparse.Namespace, state: State) -> None:
    cluster = clusters.load(state)
    if cluster is not None and given.name in (None, cluster.name):
        say = progress.timed()
        with locking.exclusive(state, say):
            teardown.down(state, None, say)


def _load(given: argparse.Namespace, state: State) -> None:
    _named(given, state)
    if given.thing == "image-archive":
        for archive in given.items:
            node.import_image(_existing(archive), state)
        return
    present = node.image_names(state)
    for image in given.items:
        if image not in present and f"docker.io/library/{image}" not in present:
            raise UsageError(
                f"no image {image} on the node, and there is no Docker engine to take it from: "
                f"`python3 -m testbed build FOLDER {image}` makes it"
            )


def _existing(name: str) -> Path:
    if not Path(name).is_file():
        raise UsageError(f"no such file: {name}")
    return Path(name).absolute()


def _kubeconfig(given: argparse.Namespace, state: State) -> None:
    _named(given, state)
    if given.action == "get":
        print(state.kubeconfig.read_text(), end="")
    else:
        _write(state, Path(given.kubeconfig or Path.home() / ".kube" / "config"))


def _write(state: State, target: Path) -> None:
    if target.absolute() == state.kubeconfig:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    target.touch(mode=KUBECONFIG_MODE)
    target.write_text(state.kubeconfig.read_text())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
