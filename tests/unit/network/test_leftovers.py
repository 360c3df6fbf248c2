"""What `kilonova verify` says of devices that a host shows."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from kilonova.network.agent.dataplane import Fault, Leftover
from kilonova.ops.checks import faults, ports, wiring
from kilonova.ops.facts import HostFact

NETWORK, IDLE, PORT = "11111111-1111", "22222222-2222", "33333333-3333"
ROUTER, ITS_PORT = "44444444-4444", "55555555-5555"
LISTED, GONE = "66666666-6666", "99999999-9999"


def findings(host: str, kind: str, owner: str) -> list[str]:
    facts: Any = SimpleNamespace(
        networks={NETWORK, IDLE},
        ports={
            PORT: SimpleNamespace(
                id=PORT, network_id=NETWORK, host_id="one", device_owner="compute:nova", device_id="x"
            ),
            ITS_PORT: SimpleNamespace(
                id=ITS_PORT,
                network_id=NETWORK,
                host_id="one",
                device_owner="network:router_interface",
                device_id=ROUTER,
            ),
        },
        security_groups=set(),
        address_groups={LISTED},
        hosts=[HostFact(host, leftovers=[Leftover(kind=kind, name="kn-vx7", owner=owner)])],
    )
    return [f"{finding.where}: {finding.what}: {finding.why}" for finding in wiring(facts)]


@pytest.mark.parametrize("kind", ["bridge", "vxlan", "namespace", "dnsmasq"])
def test_a_networks_devices_have_a_port_of_it_on_their_host(kind: str):
    assert findings("one", kind, NETWORK) == []
    assert findings("two", kind, NETWORK) == [f"two: {kind} kn-vx7: no port of {NETWORK} is on this host"]
    assert findings("one", kind, IDLE) == [f"one: {kind} kn-vx7: no port of {IDLE} is on this host"]
    assert findings("one", kind, GONE) == [f"one: {kind} kn-vx7: no network, router, port or group {GONE}"]


@pytest.mark.parametrize("kind", ["router", "advertiser"])
def test_a_router_is_where_its_ports_are(kind: str):
    assert findings("one", kind, ROUTER) == []
    assert findings("two", kind, ROUTER) == [f"two: {kind} kn-vx7: no port of {ROUTER} is on this host"]
    assert findings("one", kind, "x") == [f"one: {kind} kn-vx7: no network, router, port or group x"]


def test_a_tap_is_where_its_port_is():
    assert findings("one", "tap", PORT[:11]) == []
    assert findings("two", "tap", PORT[:11]) == [f"two: tap kn-vx7: no port of {PORT[:11]} is on this host"]


def test_chains_of_address_groups_have_a_reason():
    assert findings("one", "chain", LISTED) == []
    assert findings("one", "chain", GONE) == [f"one: chain kn-vx7: no network, router, port or group {GONE}"]


def test_what_is_stale_inside_is_reported():
    item = Leftover(kind="rule", name="nat: PREROUTING …", owner=ROUTER, stale=True)
    facts: Any = SimpleNamespace(
        networks=set(), ports={}, security_groups=set(), address_groups=set(), hosts=[HostFact("one", leftovers=[item])]
    )
    assert [(f.where, f.what, f.why) for f in wiring(facts)] == [
        ("one", "rule nat: PREROUTING …", f"not what {ROUTER} has now")
    ]


def test_a_half_made_tunnel_is_reported():
    assert findings("one", "vxlan", "kn-vx7") == ["one: vxlan kn-vx7: no network, router, port or group kn-vx7"]


def test_what_a_host_could_not_apply_is_reported():
    fault = Fault(kind="port", id=PORT, reason="bad MAC address", lasting=True)
    facts: Any = SimpleNamespace(hosts=[HostFact("one", faults=[fault]), HostFact("two")])
    reported = [f"{finding.where}: {finding.what}: {finding.why}" for finding in faults(facts)]
    assert reported == [f"one: port {PORT}: not applied: bad MAC address"]


@pytest.mark.parametrize(("host", "count"), [("one", 1), ("", 0)])
def test_a_projects_own_words_on_a_port_make_no_leftover(host: str, count: int):
    """Any project may write `compute:nova` on its ports; only compute binds them to a host."""
    port = SimpleNamespace(id=PORT, host_id=host, device_owner="compute:nova", device_id="x")
    facts: Any = SimpleNamespace(ports={PORT: port}, servers={})
    assert len(list(ports(facts))) == count
