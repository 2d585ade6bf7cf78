from __future__ import annotations

import base64
import json
import tomllib
from pathlib import Path

import pytest

from testbed import (
    addresses,
    control_plane,
    kubeconfig,
    network,
    node,
    node_config,
    objects,
    pki,
)
from testbed.cluster import Cluster
from testbed.errors import UsageError
from testbed.paths import State

STATE = State(Path("/s"))
NODE = Cluster("bed", control_plane_only=False, addresses=addresses.of_slot(1), hpa_sync_seconds=2)
ALONE = Cluster("bed", control_plane_only=True, addresses=addresses.on_loopback(lambda _port: True))


def test_containerd_is_told_what_pods_in_a_container_need() -> None:
    config = tomllib.loads(node_config.containerd(STATE, Path("/cni")))

    cri = config["plugins"]["io.containerd.grpc.v1.cri"]
    assert cri["restrict_oom_score_adj"] is True
    assert cri["sandbox_image"] == "localhost/pause:1"
    assert cri["cni"] == {"bin_dir": "/cni", "conf_dir": "/s/config/cni"}
    assert config["grpc"]["address"] == "/s/data/containerd.sock"


def test_everything_that_the_node_writes_is_below_the_state_folder() -> None:
    texts = [
        node_config.containerd(STATE, Path("/usr/lib/cni")),
        json.dumps(node_config.kubelet(NODE, STATE)),
        json.dumps(node_config.cni_network(NODE, STATE)),
    ]

    for text in texts:
        for folder in ("/var/", "/run/", "/etc/"):
            assert folder not in text


def test_the_kubelet_stays_in_the_clusters_cgroup_and_never_evicts_for_a_full_disk() -> None:
    config = node_config.kubelet(NODE, STATE)

    assert config["cgroupRoot"] == "/tidemill-bed"
    assert config["clusterDNS"] == ["10.199.1.2"]
    assert config["failCgroupV1"] is False
    evict = config["evictionHard"]
    assert isinstance(evict, dict)
    assert evict["nodefs.available"] == evict["imagefs.available"] == "0%"


def test_pods_get_addresses_of_the_clusters_own_slot() -> None:
    network_config = json.dumps(node_config.cni_network(NODE, STATE))

    assert '"subnet": "10.243.0.0/24"' in network_config
    assert node_config.proxy(NODE, STATE)["clusterCIDR"] == "10.243.0.0/16"


def test_the_machines_connection_tracking_is_left_alone() -> None:
    conntrack = node_config.proxy(NODE, STATE)["conntrack"]

    assert isinstance(conntrack, dict)
    assert set(conntrack.values()) == {0, "0s"}


def test_dns_answers_on_the_nodes_address_with_rights_of_its_own() -> None:
    text = node_config.corefile(NODE, STATE)

    assert "bind 10.199.1.2" in text
    assert "kubeconfig /s/config/dns.kubeconfig" in text
    kinds = [manifest["kind"] for manifest in objects.dns_rights()]
    assert kinds == ["ClusterRole", "ClusterRoleBinding"]


def test_exec_logs_and_extension_servers_have_their_flags() -> None:
    flags = control_plane.apiserver_flags(NODE, STATE)

    assert "--kubelet-preferred-address-types=InternalIP" in flags
    assert "--enable-aggregator-routing=true" in flags
    assert "--requestheader-client-ca-file=/s/pki/front.crt" in flags
    assert "--service-cluster-ip-range=10.97.0.0/16" in flags
    assert "--endpoint-reconciler-type=none" not in flags


def test_a_control_plane_alone_publishes_no_loopback_endpoint_and_reaches_servers_by_name() -> None:
    flags = control_plane.apiserver_flags(ALONE, STATE)

    assert "--endpoint-reconciler-type=none" in flags
    assert "--enable-aggregator-routing=false" in flags
    assert f"--secure-port={ALONE.addresses.api_port}" in flags
    assert "--bind-address=127.0.0.1" in flags


def test_the_period_of_autoscalers_reaches_the_controllers() -> None:
    flags = control_plane.controllers_flags(NODE, STATE)

    assert "--horizontal-pod-autoscaler-sync-period=2s" in flags
    assert "--kubeconfig=/s/config/controllers.kubeconfig" in flags


def test_etcd_listens_on_loopback_only() -> None:
    config = control_plane.etcd_config(ALONE, STATE)

    urls = [value for key, value in config.items() if key.endswith("urls")]
    assert len(urls) == 4
    assert all(str(url).startswith("http://127.0.0.1:") for url in urls)


def test_the_api_server_is_known_by_every_name_that_clients_use() -> None:
    server = next(one for one in pki.wanted(NODE) if one.name == "apiserver")

    names = server.names.split(",")
    assert "DNS:kubernetes.default.svc" in names
    assert {"IP:10.97.0.1", "IP:10.199.1.2", "IP:127.0.0.1"} <= set(names)


def test_the_front_proxys_certificate_is_of_an_authority_of_its_own() -> None:
    signed_by = {one.name: one.authority for one in pki.wanted(NODE)}

    assert [name for name, authority in signed_by.items() if authority == "front"] == [
        "front-client"
    ]


def test_a_control_plane_alone_has_no_certificates_of_a_node() -> None:
    names = {one.name for one in pki.wanted(ALONE)}

    assert names.isdisjoint({"kubelet", "kubelet-server", "proxy", "dns"})


def test_a_kubeconfig_carries_everything_that_it_needs() -> None:
    text = kubeconfig.render(NODE, "admin", authority=b"A", certificate=b"C", key=b"K")

    config = json.loads(text)
    assert config["current-context"] == "bed"
    assert config["clusters"][0]["cluster"]["server"] == "https://10.199.1.2:6443"
    assert base64.b64decode(config["users"][0]["user"]["client-key-data"]) == b"K"


def test_a_kubeconfig_is_for_its_owner_only(tmp_path: Path) -> None:
    for name in ("ca.crt", "admin.crt", "admin.key"):
        (tmp_path / name).write_bytes(b"x")
    target = tmp_path / "kubeconfig"

    kubeconfig.write(NODE, tmp_path, "admin", target)

    assert target.stat().st_mode & 0o777 == 0o600


def test_routes_to_pods_are_there_before_anything_can_use_them() -> None:
    commands = network._commands(NODE, STATE)

    assert commands[0] == ["unshare", "--net=/s/namespace", "true"]
    assert commands[-2:] == [
        ["ip", "route", "add", "10.243.0.0/16", "via", "10.199.1.2"],
        ["ip", "route", "add", "10.97.0.0/16", "via", "10.199.1.2"],
    ]


def test_a_local_volume_is_bound_to_the_node_and_to_the_default_class() -> None:
    volume = objects.volume(NODE, "local-0", Path("/s/data/volumes/local-0"))

    text = json.dumps(volume)
    assert '"values": ["bed"]' in text
    assert '"storageClassName": "local"' in text
    assert "is-default-class" in json.dumps(objects.storage_class())


@pytest.mark.parametrize("folder", ["/run/x", "/var/lib/x/y", "/var/log"])
def test_folders_that_the_node_hides_are_refused(folder: str) -> None:
    with pytest.raises(UsageError, match="does not share"):
        node.refuse_hidden(Path("/srv"), Path(folder))
