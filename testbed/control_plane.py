"""etcd, the API server, the controllers and the scheduler: their flags and their start."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from testbed import kubeconfig, places, processes
from testbed.api import Api

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.cluster import Cluster
    from testbed.paths import State

READY_SECONDS = 90.0
CLIENTS = ("controllers", "scheduler")


def etcd_config(cluster: Cluster, state: State) -> dict[str, object]:
    """Return etcd's configuration. The data is thrown away by `down`: nothing is synced."""
    client = f"http://127.0.0.1:{cluster.addresses.etcd_port}"
    peer = f"http://127.0.0.1:{cluster.addresses.etcd_peer_port}"
    return {
        "name": "etcd",
        "data-dir": str(state.data / "etcd"),
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"etcd={peer}",
        "unsafe-no-fsync": True,
        "log-level": "warn",
    }


def apiserver_flags(cluster: Cluster, state: State) -> list[str]:
    """Return the API server's flags."""
    addresses, pki = cluster.addresses, state.pki
    flags = [
        f"--etcd-servers=http://127.0.0.1:{addresses.etcd_port}",
        f"--bind-address={addresses.node_ip}",
        f"--advertise-address={addresses.node_ip}",
        f"--secure-port={addresses.api_port}",
        f"--service-cluster-ip-range={addresses.services}",
        f"--cert-dir={state.data / 'apiserver'}",
        f"--tls-cert-file={pki / 'apiserver.crt'}",
        f"--tls-private-key-file={pki / 'apiserver.key'}",
        f"--client-ca-file={pki / 'ca.crt'}",
        "--allow-privileged",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--profiling=false",
    ]
    if cluster.control_plane_only:
        # A loopback address is no endpoint that the `kubernetes` service may have.
        flags.append("--endpoint-reconciler-type=none")
    return [*flags, *_token_flags(pki), *_kubelet_flags(pki), *_aggregator_flags(cluster, pki)]


def _token_flags(pki: Path) -> list[str]:
    return [
        f"--service-account-key-file={pki / 'tokens.pub'}",
        f"--service-account-signing-key-file={pki / 'tokens.key'}",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
    ]


def _kubelet_flags(pki: Path) -> list[str]:
    return [
        f"--kubelet-client-certificate={pki / 'kubelet-client.crt'}",
        f"--kubelet-client-key={pki / 'kubelet-client.key'}",
        f"--kubelet-certificate-authority={pki / 'ca.crt'}",
        # Else exec and logs look up the node's name, which no server knows, and hang.
        "--kubelet-preferred-address-types=InternalIP",
    ]


def _aggregator_flags(cluster: Cluster, pki: Path) -> list[str]:
    """Return what extension API servers need (an external-metrics API is one).

    Without nodes their Services have no address but the name of a host (ExternalName): that is
    looked up as long as the API server does not ask for endpoints itself.
    """
    routing = str(not cluster.control_plane_only).lower()
    return [
        f"--requestheader-client-ca-file={pki / 'front.crt'}",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        f"--proxy-client-cert-file={pki / 'front-client.crt'}",
        f"--proxy-client-key-file={pki / 'front-client.key'}",
        f"--enable-aggregator-routing={routing}",
    ]


def controllers_flags(cluster: Cluster, state: State) -> list[str]:
    """Return the controller-manager's flags."""
    pki = state.pki
    return [
        *_client_flags(state, "controllers", cluster.addresses.controllers_port),
        f"--root-ca-file={pki / 'ca.crt'}",
        f"--service-account-private-key-file={pki / 'tokens.key'}",
        f"--cluster-signing-cert-file={pki / 'ca.crt'}",
        f"--cluster-signing-key-file={pki / 'ca.key'}",
        "--use-service-account-credentials",
        # With the usual 20 requests a second the controllers alone take 5 s to start.
        "--kube-api-qps=300",
        "--kube-api-burst=600",
        "--allocate-node-cidrs=false",
        f"--horizontal-pod-autoscaler-sync-period={cluster.hpa_sync_seconds}s",
    ]


def scheduler_flags(cluster: Cluster, state: State) -> list[str]:
    """Return the scheduler's flags."""
    return _client_flags(state, "scheduler", cluster.addresses.scheduler_port)


def _client_flags(state: State, name: str, port: int) -> list[str]:
    config = state.config / f"{name}.kubeconfig"
    return [
        *(f"--{use}kubeconfig={config}" for use in ("", "authentication-", "authorization-")),
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--cert-dir={state.data / name}",
        "--leader-elect=false",
    ]


def start(cluster: Cluster, state: State, kube: Path) -> None:
    """Start the control plane and return when the API server is ready.

    Raises:
        StepError: a component ended or was not ready in time.
    """
    state.config.mkdir(parents=True, exist_ok=True)
    config = state.config / "etcd.json"
    config.write_text(json.dumps(etcd_config(cluster, state), indent=2) + "\n")
    for name in CLIENTS:
        kubeconfig.write(cluster, state.pki, name, state.config / f"{name}.kubeconfig")
    kubeconfig.write(cluster, state.pki, "admin", state.kubeconfig)

    def spawn(name: str, program: str, flags: list[str]) -> None:
        place = places.inside(cluster, state)
        processes.spawn(state, name, [str(kube), program, *flags], place)

    spawn("etcd", "etcd", [f"--config-file={config}"])
    spawn("apiserver", "kube-apiserver", apiserver_flags(cluster, state))
    api = Api.of(cluster, state)
    processes.wait_until(
        lambda: api.answers("/readyz"),
        step="API server",
        seconds=READY_SECONDS,
        state=state,
        names=["etcd", "apiserver"],
    )
    # Not earlier: without the bootstrap roles the controllers give up.
    spawn("controllers", "kube-controller-manager", controllers_flags(cluster, state))
    spawn("scheduler", "kube-scheduler", scheduler_flags(cluster, state))


def wait_for_default_account(cluster: Cluster, state: State) -> None:
    """Wait for the service account without which no pod can be made in `default`."""
    api = Api.of(cluster, state)
    processes.wait_until(
        lambda: api.answers("/api/v1/namespaces/default/serviceaccounts/default"),
        step="controllers",
        seconds=READY_SECONDS,
        state=state,
        names=["etcd", "apiserver", "scheduler", "controllers"],
    )
