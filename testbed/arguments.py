"""The command line: what can be typed, and the help that teaches it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, TypeAlias

from testbed.binaries import PROGRAMS

DESCRIPTION = """\
A one-node Kubernetes of our own, for machines without a Docker engine.

  python3 -m testbed up                       build what is missing, start it, wait until Ready
  python3 -m testbed build . localhost/tidemill:dev
  python3 -m testbed kubectl get pods -A
  python3 -m testbed helm install tidemill charts/tidemill
  python3 -m testbed down                     leave nothing behind
"""
EPILOG = """\
Builds are kept in $XDG_CACHE_HOME/tidemill (~/.cache/tidemill), the cluster's files in
$TIDEMILL_TESTBED_STATE or $XDG_STATE_HOME/tidemill/testbed (~/.local/state/...).

exit codes: 0 done; 1 a step failed (its log is named); 2 wrong usage; 3 no cluster is up;
4 the machine lacks something; 5 something is in use; status: 0 whole, 1 broken, 3 none
"""
PASS_THROUGH = ("kubectl", "helm", "helm3")

if TYPE_CHECKING:
    # argparse has no public name for what `add_subparsers` returns.
    Commands: TypeAlias = argparse._SubParsersAction[  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] # as said
        argparse.ArgumentParser
    ]


def split(argv: list[str]) -> tuple[list[str], list[str]]:
    """Split at a command whose arguments belong to another program, options and all.

    `--state` for it goes before the command's name.
    """
    position = 0
    while position < len(argv) and argv[position].startswith("-"):
        position += 2 if argv[position] == "--state" else 1
    if position < len(argv) and argv[position] in PASS_THROUGH:
        return argv[: position + 1], argv[position + 1 :]
    return argv, []


def parser() -> argparse.ArgumentParser:
    """Return the whole parser."""
    # `--state` is taken before the command and after it; the later one must not undo the first.
    state = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    state.add_argument("--state", metavar="DIR", help="the folder of the cluster's files")
    main = argparse.ArgumentParser(
        prog="python3 -m testbed",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[state],
    )
    commands = main.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_cluster_commands(commands, state)
    _add_image_commands(commands, state)
    _add_tool_commands(commands, state)
    return main


def _add_cluster_commands(commands: Commands, state: argparse.ArgumentParser) -> None:
    up = commands.add_parser(
        "up",
        parents=[state],
        help="bring the cluster up",
        description="Bring the cluster up and wait until it works. Does nothing when it is up. "
        "What a killed run left behind is cleared first.",
    )
    up.add_argument(
        "--control-plane-only",
        action="store_true",
        help="no node: API server and controllers on free ports of 127.0.0.1, without root; "
        "pods stay Pending. Several run side by side, each with its own --state",
    )
    up.add_argument("--name", help="the cluster's, node's and network namespace's name [tidemill]")
    up.add_argument(
        "--hpa-sync-seconds",
        type=_positive,
        metavar="N",
        help="how often HorizontalPodAutoscalers are looked at [15]",
    )
    down = commands.add_parser(
        "down",
        parents=[state],
        help="remove the cluster and everything that it made",
        description="Remove the cluster, also one that is half up or whose run was killed. "
        "Ends only processes that `up` started, or that run in its namespace or its pods.",
    )
    down.add_argument("--name", help="clear a cluster of this name whose state folder is gone")
    status = commands.add_parser("status", parents=[state], help="show what runs and what is wrong")
    status.add_argument("-o", "--output", choices=["text", "json"], default="text")
    commands.add_parser("kubeconfig", parents=[state], help="print the kubeconfig's path")
    forward = commands.add_parser(
        "forward",
        parents=[state],
        help="forward a port of 127.0.0.1 to the node, until `down`",
        description="Forward a port of 127.0.0.1 in the background: `forward 8080 30080` makes "
        "NodePort 30080 answer on localhost:8080. Pods and services can be targets too.",
    )
    forward.add_argument("port", metavar="HOSTPORT")
    forward.add_argument("target", metavar="TARGET", help="a port of the node, or HOST:PORT")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _add_image_commands(commands: Commands, state: argparse.ArgumentParser) -> None:
    load = commands.add_parser("load", parents=[state], help="import an image archive")
    load.add_argument("archive", help="a docker-archive or OCI archive (tar)")
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument(
        "--archive", metavar="FILE", help="write the image there, and import it nowhere"
    )
    build = commands.add_parser(
        "build",
        parents=[state, options],
        help="build an image from a Dockerfile and import it",
        description="Build an image with buildah and import it. The Dockerfile must begin with "
        "`ARG BASE_IMAGE=…` and `FROM $BASE_IMAGE`: here that is localhost/base:1, made of this "
        "machine's Python and busybox (no apt, no compiler, no useradd).",
    )
    build.add_argument("folder", metavar="FOLDER", help="the build context")
    build.add_argument("name", metavar="NAME", help="such as localhost/tidemill:dev")
    build.add_argument("--build-arg", action="append", default=[], metavar="KEY=VALUE")
    build.add_argument("-f", "--file", metavar="DOCKERFILE", help="[FOLDER/Dockerfile]")
    postgres = commands.add_parser(
        "build-postgres",
        parents=[state, options],
        help="build an image that can stand in for the official postgres image",
    )
    postgres.add_argument("name", nargs="?", default="localhost/tidemill-postgres:dev")
    postgres.add_argument("--major", choices=["16", "18"], default="18", help="version [18]")


def _add_tool_commands(commands: Commands, state: argparse.ArgumentParser) -> None:
    for name in PASS_THROUGH:
        commands.add_parser(
            name,
            parents=[state],
            add_help=False,
            help=f"run {name} on the cluster, with any arguments",
        )
    which = commands.add_parser(
        "which", parents=[state], help="print the path of a program, built if it is missing"
    )
    which.add_argument("program", nargs="+", choices=sorted(PROGRAMS))
    check = commands.add_parser(
        "prerequisites", parents=[state], help="check what the machine has; changes nothing"
    )
    check.add_argument("--control-plane-only", action="store_true")
    check.add_argument("-o", "--output", choices=["text", "json"], default="text")
