"""The cluster's certificates, made anew with every `up` by openssl (P-256, ten years).

Two authorities: the cluster's own, and one for the front proxy (the API server as it calls
extension API servers), because whoever holds a certificate of the second may act as anyone.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from testbed import shell

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.cluster import Cluster

DAYS = "3650"
KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
# An own configuration: the machine's could add extensions of its own.
CONFIG = "[req]\ndistinguished_name = name\n[name]\n"
AUTHORITIES = {"ca": "/CN=tidemill-testbed", "front": "/CN=tidemill-testbed-front-proxy"}


@dataclass(frozen=True)
class Certificate:
    """What to sign: `names` are the subject alternative names in openssl's notation."""

    name: str
    subject: str
    names: str = ""
    authority: str = "ca"


def wanted(cluster: Cluster) -> list[Certificate]:
    """Return the certificates that a cluster needs."""
    addresses = cluster.addresses
    service = "kubernetes.default.svc"
    names = ["localhost", "kubernetes", "kubernetes.default", service, f"{service}.cluster.local"]
    ips = {"127.0.0.1", addresses.kubernetes_ip, addresses.node_ip}
    found = [
        Certificate(
            "apiserver",
            "/CN=kube-apiserver",
            ",".join([*(f"DNS:{name}" for name in names), *(f"IP:{ip}" for ip in sorted(ips))]),
        ),
        Certificate("front-client", "/CN=front-proxy-client", authority="front"),
        Certificate("admin", "/O=system:masters/CN=admin"),
        Certificate("kubelet-client", "/O=system:masters/CN=kube-apiserver-kubelet-client"),
        Certificate("controllers", "/CN=system:kube-controller-manager"),
        Certificate("scheduler", "/CN=system:kube-scheduler"),
    ]
    if not cluster.control_plane_only:
        node = cluster.name
        found += [
            Certificate("kubelet", f"/O=system:nodes/CN=system:node:{node}"),
            Certificate("kubelet-server", f"/CN={node}", f"DNS:{node},IP:{addresses.node_ip}"),
            Certificate("proxy", "/CN=system:kube-proxy"),
            Certificate("dns", "/CN=tidemill-testbed:dns"),
        ]
    return found


def create(cluster: Cluster, folder: Path) -> None:
    """Make all certificates and keys, and the key pair that signs service account tokens.

    Raises:
        StepError: openssl failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    config = folder / "openssl.cnf"
    config.write_text(CONFIG)
    with ThreadPoolExecutor() as pool:
        tokens = pool.submit(_token_keys, folder)
        _finish([pool.submit(_authority, folder, *item) for item in AUTHORITIES.items()])
        _finish([tokens, *(pool.submit(_sign, folder, one) for one in wanted(cluster))])


def _finish(work: list[Future[None]]) -> None:
    for one in work:
        one.result()


def _authority(folder: Path, name: str, subject: str) -> None:
    extensions = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"]
    _request(folder, name, subject, extensions)


def _sign(folder: Path, certificate: Certificate) -> None:
    extensions = [
        "basicConstraints=critical,CA:FALSE",
        "keyUsage=critical,digitalSignature",
        "extendedKeyUsage=serverAuth,clientAuth",
    ]
    if certificate.names:
        extensions.append(f"subjectAltName={certificate.names}")
    authority = folder / certificate.authority
    signer = ["-CA", f"{authority}.crt", "-CAkey", f"{authority}.key"]
    _request(folder, certificate.name, certificate.subject, extensions, signer)


def _request(
    folder: Path, name: str, subject: str, extensions: list[str], signer: list[str] | None = None
) -> None:
    command = ["openssl", "req", "-x509", "-config", str(folder / "openssl.cnf"), *KEY]
    command += ["-days", DAYS, "-subj", subject, *(signer or [])]
    for extension in extensions:
        command += ["-addext", extension]
    command += ["-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.crt")]
    shell.run(command, step=f"certificate {name}")


def _token_keys(folder: Path) -> None:
    private, public = str(folder / "tokens.key"), str(folder / "tokens.pub")
    generate = ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", private]
    shell.run(generate, step="token key")
    shell.run(["openssl", "ec", "-in", private, "-pubout", "-out", public], step="token key")
