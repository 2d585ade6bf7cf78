"""A cluster made by kind in a Docker engine."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy import shell
from deploy.errors import DeployError
from deploy.progress import Say

NAME = "tidemill"
# An image of this release of kind; the same Kubernetes minor as the test bed's.
KIND_RELEASE = "v0.33.0"
NODE_IMAGE = (
    "kindest/node:v1.34.11@sha256:44e222ee2132dab25ff87301682f89eb82c7880ea3a1bf543bfe9708fd08d67d"
)
CONFIG = "kind-config.yaml"
INSTALL_HINTS = {
    "kind": f"make the cluster (release {KIND_RELEASE} or newer)",
    "kubectl": "talk to the cluster",
    "helm": "install the chart (3.18 or newer, or 4)",
}


class Kind:
    """Implements `deploy.cluster.Cluster`."""

    name = NAME

    @property
    def kubeconfig(self) -> Path:
        home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local/state")
        return Path(home) / "tidemill" / "kind" / "kubeconfig"

    @property
    def kind_program(self) -> str:
        return shell.need("kind", INSTALL_HINTS["kind"])

    def check(self) -> None:
        missing = [
            f"{program} is not installed: it is needed to {purpose}"
            for program, purpose in INSTALL_HINTS.items()
            if not shell.succeeds([program, "help"])
        ]
        if missing:
            raise DeployError("; ".join(missing))

    def is_up(self) -> bool:
        if not shell.succeeds(["kind", "version"]):
            return False
        listed = shell.output(["kind", "get", "clusters"], step="list kind's clusters")
        return NAME in listed.split()

    def up(self, say: Say) -> None:
        self.check()
        self.kubeconfig.parent.mkdir(parents=True, exist_ok=True)
        if self.is_up():
            say(f"kind cluster {NAME} is up already")
            self._run("export", "kubeconfig")
            return
        say(f"create the kind cluster {NAME}")
        self._run("create", "cluster", "--image", NODE_IMAGE, "--config", CONFIG, "--wait", "120s")

    def down(self, say: Say) -> None:
        if not self.is_up():
            say(f"no kind cluster {NAME}: nothing to remove")
            return
        say(f"delete the kind cluster {NAME}")
        self._run("delete", "cluster")
        self.kubeconfig.unlink(missing_ok=True)

    def bring_images(self, image: str, say: Say) -> None:
        if self._has(image):
            say(f"{image} is in the cluster already")
            return
        say(f"build {image}")
        self._build(image)
        say("load it into the cluster")
        shell.show(
            ["kind", "load", "docker-image", "--name", NAME, image],
            step="kind load",
            look="its output above",
        )

    def build_only(self, say: Say) -> None:
        say("build tidemill:dev")
        self._build("tidemill:dev")

    def publish(self, port: int, node_port: int) -> None:
        """kind-config.yaml has mapped it."""

    def values(self) -> Mapping[str, object]:
        return {}

    def helm(self) -> str:
        return shell.need("helm", INSTALL_HINTS["helm"])

    def kubectl(self) -> str:
        return shell.need("kubectl", INSTALL_HINTS["kubectl"])

    def on_node(self, argv: Sequence[str]) -> list[str]:
        return ["docker", "exec", f"{NAME}-control-plane", *argv]

    def _run(self, *arguments: str) -> None:
        shell.show(
            ["kind", *arguments, "--name", NAME, "--kubeconfig", str(self.kubeconfig)],
            step=f"kind {' '.join(arguments[:2])}",
            look="its output above, and `docker ps`",
        )

    def _build(self, image: str) -> None:
        shell.show(
            ["docker", "build", "--tag", image, "."], step="docker build", look="its output above"
        )

    def _has(self, image: str) -> bool:
        argv = self.on_node(["crictl", "inspecti", "-q", image])
        return subprocess.run(argv, check=False, capture_output=True).returncode == 0
