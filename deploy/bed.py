"""The project's own test bed: a cluster where no Docker engine is (see testbed/)."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy import shell
from deploy.errors import DeployError
from deploy.progress import Say
from deploy.shell import ROOT

NAME = "tidemill"
TESTBED = (sys.executable, "-m", "testbed")
STAND_IN = ROOT / "testbed" / "bin-kind"
# Stands in for the official image, which cannot be pulled here.
POSTGRES_REPOSITORY = "localhost/tidemill-postgres"
POSTGRES_MAJOR = "18"
POSTGRES = f"{POSTGRES_REPOSITORY}:{POSTGRES_MAJOR}"


class Bed:
    """Implements `deploy.cluster.Cluster`."""

    name = NAME

    @property
    def kubeconfig(self) -> Path:
        return Path(self._ask("kubeconfig"))

    @property
    def kind_program(self) -> str:
        return str(STAND_IN)

    def check(self) -> None:
        found = subprocess.run(
            [*TESTBED, "prerequisites", "--output", "json"],
            check=False, capture_output=True, text=True, cwd=ROOT,
        )  # fmt: skip
        # Packages are not asked for here: `up` installs them where it can.
        unmet = [
            f"{each['name']}: {each['advice']}"
            for each in json.loads(found.stdout)
            if not each["met"] and each["name"] != "packages"
        ]
        if unmet:
            raise DeployError("the test bed cannot run here: " + "; ".join(unmet))

    def is_up(self) -> bool:
        return shell.succeeds([*TESTBED, "status"])

    def up(self, say: Say) -> None:
        say("start the test bed")
        self._show("up")

    def down(self, say: Say) -> None:
        say("remove the test bed")
        self._show("down")

    def bring_images(self, image: str, say: Say) -> None:
        say("bring the images into the test bed")
        if not self._has(POSTGRES):
            self._show("build-postgres", POSTGRES, "--major", POSTGRES_MAJOR)
        if not self._has(image):
            self._show("build", ".", image)

    def build_only(self, say: Say) -> None:
        archive = ROOT / "dist" / "tidemill-dev.tar"
        archive.parent.mkdir(exist_ok=True)
        say(f"no Docker engine: build into {archive} (for `docker load`)")
        self._show("build", ".", "tidemill:dev", "--archive", str(archive))

    def publish(self, port: int, node_port: int) -> None:
        self._show("forward", str(port), str(node_port))

    def values(self) -> Mapping[str, object]:
        return {
            "postgres.image.repository": POSTGRES_REPOSITORY,
            "postgres.image.tag": POSTGRES_MAJOR,
        }

    def helm(self) -> str:
        return self._ask("which", "helm")

    def kubectl(self) -> str:
        return self._ask("which", "kubectl")

    def on_node(self, argv: Sequence[str]) -> list[str]:
        # Its pods are processes of this machine.
        return list(argv)

    def _has(self, image: str) -> bool:
        return shell.succeeds([self.kind_program, "load", "docker-image", image])

    def _ask(self, *arguments: str) -> str:
        """Return what a command prints; its progress goes to the user."""
        done = subprocess.run(
            [*TESTBED, *arguments], check=False, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        if done.returncode != 0:
            raise DeployError(f"testbed {' '.join(arguments)} failed: see above")
        return done.stdout.strip()

    def _show(self, *arguments: str) -> None:
        shell.show(
            [*TESTBED, *arguments],
            step=f"testbed {' '.join(arguments[:2])}",
            look="what it says above (`python3 -m testbed status` tells what runs)",
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
