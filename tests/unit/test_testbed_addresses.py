from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from testbed import addresses
from testbed.errors import BusyError


def test_the_first_slot_has_the_ranges_that_people_know() -> None:
    first = addresses.of_slot(0)

    assert (first.node_ip, first.pods, first.services) == (
        "10.199.0.2",
        "10.244.0.0/16",
        "10.96.0.0/16",
    )
    assert first.server == "https://10.199.0.2:6443"
    assert first.kubernetes_ip == "10.96.0.1"
    assert first.pod_subnet == "10.244.0.0/24"


def test_slots_do_not_overlap() -> None:
    ranges = [
        IPv4Network(text)
        for slot in range(addresses.SLOTS)
        for text in (
            f"{addresses.of_slot(slot).host_ip}/32",
            addresses.of_slot(slot).pods,
            addresses.of_slot(slot).services,
        )
    ]

    overlaps = [(a, b) for a in ranges for b in ranges if a is not b and a.overlaps(b)]

    assert overlaps == []


@pytest.mark.parametrize(
    ("routes", "slot"),
    [
        (["default", "192.0.2.0/24"], 0),
        (["10.199.0.0/30"], 1),
        (["10.96.3.0/24", "10.243.0.9"], 2),
        (["unreachable"], 0),
    ],
)
def test_a_slot_is_free_when_no_route_leads_into_it(routes: list[str], slot: int) -> None:
    assert addresses.free_slot(routes) == slot


def test_a_route_for_everything_private_leaves_no_slot() -> None:
    with pytest.raises(BusyError, match="no room"):
        addresses.free_slot(["10.0.0.0/8"])


def test_a_control_plane_takes_five_different_free_ports_outside_the_outgoing_range() -> None:
    taken: list[int] = []

    def is_free(port: int) -> bool:
        taken.append(port)
        return len(taken) > 3

    found = addresses.on_loopback(is_free)

    ports = {
        found.api_port,
        found.etcd_port,
        found.etcd_peer_port,
        found.controllers_port,
        found.scheduler_port,
    }
    assert len(ports) == 5
    assert ports.isdisjoint(taken[:3])
    assert all(port in addresses.PORTS for port in ports)
    assert found.server == f"https://127.0.0.1:{found.api_port}"


def test_no_free_port_is_an_error_of_its_own() -> None:
    with pytest.raises(BusyError, match="free ports"):
        addresses.on_loopback(lambda _port: False)
