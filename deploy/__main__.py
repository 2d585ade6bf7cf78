"""`python3 -m deploy COMMAND`: a cluster on this machine with Tidemill on it."""

import argparse
import sys

from deploy import crds, image, release
from deploy.cluster import CHOICES, choose, possible
from deploy.errors import DeployError
from deploy.progress import Say, timed


def run(given: argparse.Namespace, say: Say) -> None:
    """Start the cluster, build and load the image, install the chart, apply the example."""
    cluster = choose(given.on)
    cluster.check()
    cluster.up(say)
    name = image.reference()
    cluster.bring_images(name, say)
    release.roll_out(cluster, name, say)


def down(given: argparse.Namespace, say: Say) -> None:
    """Remove the cluster with everything in it."""
    # Without a wish, whatever is here: Docker may have come or gone since the cluster was made.
    for cluster in [choose(given.on)] if given.on else possible():
        cluster.down(say)


def cluster_up(given: argparse.Namespace, say: Say) -> None:
    """Start the cluster only."""
    cluster = choose(given.on)
    cluster.up(say)
    print(f"export KUBECONFIG={cluster.kubeconfig}")


def build(given: argparse.Namespace, say: Say) -> None:
    """Build the image; without a Docker engine, as an archive in dist/."""
    choose(given.on).build_only(say)


def copy_crds(_given: argparse.Namespace, say: Say) -> None:
    """Copy crds/ into the chart."""
    changed = crds.copy()
    say(f"copied {', '.join(changed)}" if changed else "the chart's copy is equal already")


COMMANDS = {
    "run": run,
    "down": down,
    "cluster-up": cluster_up,
    "cluster-down": down,
    "build": build,
    "crds": copy_crds,
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit code."""
    parser = argparse.ArgumentParser(prog="python3 -m deploy", description=__doc__)
    parser.add_argument(
        "--on", choices=CHOICES, help="which cluster; default: what this machine has"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, function in COMMANDS.items():
        commands.add_parser(name, help=function.__doc__).set_defaults(function=function)
    given = parser.parse_args(arguments)
    try:
        given.function(given, timed())
    except DeployError as error:
        print(f"deploy: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "deploy: interrupted; `python3 -m deploy down` removes what was made", file=sys.stderr
        )
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
