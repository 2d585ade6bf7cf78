"""The configuration files of the node's programs, as values and text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed import cgroups, versions

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.cluster import Cluster
    from testbed.paths import State

DNS_READY_PORT = 8181


def containerd(state: State, cni: Path) -> str:
    """Return containerd's configuration (TOML).

    `restrict_oom_score_adj`: without CAP_SYS_RESOURCE, as in a container, no pod would start.
    `disable_apparmor`: the default profile would stay loaded in the kernel after us.
    """
    data = state.data
    return f"""\
version = 2
root = "{data}/containerd-root"
state = "{data}/containerd-state"

[grpc]
  address = "{state.containerd_socket}"

[plugins."io.containerd.internal.v1.opt"]
  path = "{data}/containerd-opt"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{versions.PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  disable_hugetlb_controller = true
  tolerate_missing_hugetlb_controller = true

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni}"
    conf_dir = "{state.config}/cni"

  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
"""


def cni_network(cluster: Cluster, state: State) -> dict[str, object]:
    """Return the pods' network: a bridge inside the cluster's namespace."""
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "ipMasq": False,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "dataDir": str(state.data / "ipam"),
            "ranges": [[{"subnet": cluster.addresses.pod_subnet}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True}
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge, ports]}


def kubelet(cluster: Cluster, state: State) -> dict[str, object]:
    """Return the kubelet's configuration: careful with the machine, careless about limits."""
    pki = state.pki
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(pki / "kubelet-server.crt"),
        "tlsPrivateKeyFile": str(pki / "kubelet-server.key"),
        "clusterDNS": [cluster.addresses.node_ip],
        "clusterDomain": "cluster.local",
        "resolvConf": str(state.config / "resolv.conf"),
        "containerRuntimeEndpoint": f"unix://{state.containerd_socket}",
        "podLogsDir": str(state.data / "pod-logs"),
        "volumePluginDir": str(state.data / "volume-plugins"),
        "serializeImagePulls": False,
        "syncFrequency": "10s",
        "nodeStatusUpdateFrequency": "5s",
        **_kubelet_resources(cluster),
    }


def _kubelet_resources(cluster: Cluster) -> dict[str, object]:
    """Return the part about cgroups and the machine's resources."""
    return {
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroups.path(cluster.name),
        "cgroupsPerQOS": True,
        "enforceNodeAllocatable": [],
        "failSwapOn": False,
        "failCgroupV1": False,
        "oomScoreAdj": 0,  # a lower one needs CAP_SYS_RESOURCE
        "maxOpenFiles": 20_000,  # likewise for a higher limit
        "protectKernelDefaults": False,
        "makeIPTablesUtilChains": False,
        # Images are loaded, never pulled: one that was collected would not come back.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "0%",
            "nodefs.inodesFree": "0%",
            "imagefs.available": "0%",
        },
    }


def proxy(cluster: Cluster, state: State) -> dict[str, object]:
    """Return kube-proxy's configuration; conntrack limits belong to the whole machine."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clusterCIDR": cluster.addresses.pods,
        "hostnameOverride": cluster.name,
        "clientConnection": {"kubeconfig": str(state.config / "proxy.kubeconfig")},
        "oomScoreAdj": 0,
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
    }


def corefile(cluster: Cluster, state: State) -> str:
    """Return CoreDNS's configuration: the cluster's names and no others."""
    ip = cluster.addresses.node_ip
    return f"""\
cluster.local:53 in-addr.arpa:53 {{
    bind {ip}
    ready {ip}:{DNS_READY_PORT}
    errors
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {state.config / "dns.kubeconfig"}
        pods insecure
        ttl 5
    }}
    cache 5
}}
"""
