"""A server on a network of both IP versions, in what compute shows of it."""

from __future__ import annotations

from tests.eventually import eventually
from tests.process.cloud.harness import Api, CloudProcess

SLAAC = {"ip_version": 6, "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}


def versions(demo: Api, server_id: str) -> list[tuple[int, str]]:
    every = demo.server(server_id)["addresses"]["both"]
    return [(one["version"], one["addr"]) for one in every]


def test_a_server_shows_its_addresses_of_both_versions(cloud: CloudProcess) -> None:
    demo = cloud.api("demo")
    network = demo.network("both", "10.52.0.0/24")
    demo.ok("POST", "network", "/subnets", {"subnet": SLAAC | {"network_id": network, "cidr": "fd00:52::/64"}})
    server_id = demo.launch(demo.image("img"), [{"uuid": network}], accessIPv6="fd00:52::99")
    demo.wait(server_id, "ACTIVE")
    shown = versions(demo, server_id)
    assert [version for version, _ in shown] == [4, 6]
    assert shown[1][1].startswith("fd00:52::")
    assert demo.server(server_id)["accessIPv6"] == "fd00:52::99"
    demo.ok("POST", "network", "/subnets", {"subnet": SLAAC | {"network_id": network, "cidr": "fd00:53::/64"}})
    third = (6, shown[1][1].replace("fd00:52:", "fd00:53:"))
    eventually(
        lambda: versions(demo, server_id),
        lambda: f"not the new subnet's address: {versions(demo, server_id)}",
        satisfies=lambda found: found == [*shown, third],
    )
