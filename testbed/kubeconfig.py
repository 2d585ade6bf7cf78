"""Kubeconfig files. They are JSON, which every reader of YAML reads."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.cluster import Cluster


def render(cluster: Cluster, user: str, *, authority: bytes, certificate: bytes, key: bytes) -> str:
    """Return a kubeconfig with everything inside, so that it can be copied anywhere."""
    name = cluster.name

    def data(content: bytes) -> str:
        return base64.b64encode(content).decode()

    server = {"server": cluster.addresses.server, "certificate-authority-data": data(authority)}
    client = {"client-certificate-data": data(certificate), "client-key-data": data(key)}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": server}],
        "users": [{"name": user, "user": client}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
        "current-context": name,
    }
    return json.dumps(config, indent=2) + "\n"


def write(cluster: Cluster, pki: Path, user: str, target: Path) -> None:
    """Write the kubeconfig of the user whose certificate is `USER.crt`, readable by us only."""
    text = render(
        cluster,
        user,
        authority=(pki / "ca.crt").read_bytes(),
        certificate=(pki / f"{user}.crt").read_bytes(),
        key=(pki / f"{user}.key").read_bytes(),
    )
    target.touch(mode=0o600)
    target.chmod(0o600)
    target.write_text(text)
