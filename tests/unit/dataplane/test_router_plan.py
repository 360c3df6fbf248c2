"""What a router's model becomes: rules, routes, advertisements, and the connections that a change ends. Nothing is run."""

from __future__ import annotations

import re
from typing import Any

import pytest
from msgspec.structs import replace

from kilonova.network.agent.l3.namespace import flows
from kilonova.network.agent.l3.namespace.advertiser import arguments
from kilonova.network.agent.l3.namespace.announce import frames
from kilonova.network.agent.l3.namespace.plan import plan
from kilonova.network.agent.model import AdvertisementModel, FloatingIPModel, RouterModel
from kilonova.network.agent.system.names import LINE
from tests.host.dataplane.lab import arp
from tests.host.dataplane.routing import (
    OUTSIDE,
    Lan,
    external,
    floating,
    forwarding,
    gateway,
    guest_port,
    private,
    router,
)

NET, EXT = private(1), external()
NETWORKS = {NET.id: NET, EXT.id: EXT}
PORT = guest_port(NET, 11)
INSIDE = Lan(NET).interface(advertises=(AdvertisementModel(cidr="fd00:1::/64"),))
IPS = (
    floating(20, PORT),
    floating(21, None, forwarding((8022, 8022), PORT, (22, 22)), forwarding((90, 99), PORT, (80, 89))),
)
WHOLE = router(INSIDE, gateway=gateway(EXT), floating_ips=IPS, routes=(("192.168.0.0/16", "10.0.1.11"),))
EVIL = ("", "x", "10.0.1.5\n-A FORWARD -j ACCEPT", "10.0.1.5 -j ACCEPT", "fe80::1%\nCOMMIT", "10.0.1.5/24 ", "-j")


def text(of: RouterModel) -> str:
    made = plan(of, NETWORKS)
    assert made.problems == ()
    return re.sub(r"q[rg]-[0-9a-f-]{11}", lambda m: m[0][:2], made.nat)


def test_the_rules_of_a_router() -> None:
    assert text(WHOLE).splitlines() == [
        "*mangle",
        ":PREROUTING ACCEPT [0:0]",
        "-A PREROUTING -i qg -j MARK --set-xmark 0x1/0x1",
        "COMMIT",
        "*nat",
        ":PREROUTING ACCEPT [0:0]",
        ":OUTPUT ACCEPT [0:0]",
        ":POSTROUTING ACCEPT [0:0]",
        "-A PREROUTING -d 169.254.169.254/32 -i qr-+ -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 9697",
        "-A PREROUTING -d 198.51.100.20/32 -j DNAT --to-destination 10.0.1.11",
        "-A OUTPUT -d 198.51.100.20/32 -j DNAT --to-destination 10.0.1.11",
        "-A PREROUTING -d 198.51.100.21/32 -p tcp -m tcp --dport 8022 -j DNAT --to-destination 10.0.1.11:22",
        "-A OUTPUT -d 198.51.100.21/32 -p tcp -m tcp --dport 8022 -j DNAT --to-destination 10.0.1.11:22",
        "-A PREROUTING -d 198.51.100.21/32 -p tcp -m tcp --dport 90:99 -j DNAT --to-destination 10.0.1.11:80-89/90",
        "-A OUTPUT -d 198.51.100.21/32 -p tcp -m tcp --dport 90:99 -j DNAT --to-destination 10.0.1.11:80-89/90",
        "-A POSTROUTING ! -o qg -m conntrack ! --ctstate DNAT -j ACCEPT",
        "-A POSTROUTING -s 10.0.1.11/32 -j SNAT --to-source 198.51.100.20",
        "-A POSTROUTING -o qg -j SNAT --to-source 198.51.100.10",
        "-A POSTROUTING -m mark ! --mark 0x1/0x1 -m conntrack --ctstate DNAT -j SNAT --to-source 198.51.100.10",
        "COMMIT",
        "*filter",
        ":INPUT ACCEPT [0:0]",
        ":FORWARD ACCEPT [0:0]",
        "-A INPUT -p tcp -m tcp --dport 9697 -m conntrack ! --ctorigdst 169.254.169.254 -j DROP",
        "-A FORWARD -o qg -m conntrack --ctstate INVALID -j DROP",
        "-A FORWARD -i qg -m conntrack --ctstate NEW -m conntrack ! --ctstate DNAT -j DROP",
        "COMMIT",
    ]


def test_without_a_gateway_or_snat_less_is_translated() -> None:
    inner = text(replace(WHOLE, gateway=None, floating_ips=()))
    assert ("SNAT" in inner, "FORWARD -" in inner, "REDIRECT" in inner) == (False, False, True)
    assert WHOLE.gateway is not None
    plain = text(replace(WHOLE, gateway=replace(WHOLE.gateway, enable_snat=False)))
    assert ("-o qg -j SNAT" in plain, "FORWARD -" in plain) == (False, False)
    only_6 = replace(WHOLE.gateway, addresses=("2001:db8:f::a/64",))
    assert "--to-source 198.51.100.10" not in text(replace(WHOLE, gateway=only_6))


def test_devices_addresses_and_routes() -> None:
    made = plan(WHOLE, NETWORKS)
    inner, outer = made.devices
    assert (inner.name, inner.tap, inner.mtu) == (f"qr-{INSIDE.port_id[:11]}", f"tap{INSIDE.port_id[:11]}", 1450)
    assert inner.addresses == ("10.0.1.1/24", "fd00:1::1/64")
    assert outer.addresses == ("198.51.100.10/24", "2001:db8:f::a/64", "198.51.100.20/32", "198.51.100.21/32")
    assert {(r.destination, r.next_hop, r.device) for r in made.routes} == {
        ("0.0.0.0/0", OUTSIDE, outer.name), ("::/0", "2001:db8:f::1", outer.name), ("192.168.0.0/16", "10.0.1.11", inner.name)
    }  # fmt: skip
    own = plan(replace(WHOLE, routes=(("0.0.0.0/0", "10.0.1.11"),)), NETWORKS)
    assert [r.device for r in own.routes if r.destination == "0.0.0.0/0"] == [inner.name]  # comes before the gateway's


@pytest.mark.parametrize(
    ("destination", "hop", "why"),
    [("192.168.0.0/16", "10.0.1.1", "is the router itself"), ("192.168.0.0/16", "10.0.3.1", "on none of its networks"),
     ("10.0.1.0/24", "10.0.1.11", "on that network itself"), ("fd00:9::/64", "10.0.1.11", "on none of its networks")],
)  # fmt: skip
def test_a_route_that_cannot_be_is_left_out(destination: str, hop: str, why: str) -> None:
    made = plan(replace(WHOLE, routes=((destination, hop),)), NETWORKS)
    assert [why in problem for problem in made.problems] == [True]
    assert destination not in {route.destination for route in made.routes}


@pytest.mark.parametrize("evil", EVIL)
def test_what_cannot_be_read_is_left_out_and_named(evil: str) -> None:
    """No text of the model becomes a line by itself."""
    ip, ports = IPS
    forwardings = replace(ports.port_forwardings[0], internal_ip_address=evil)
    wrong: dict[str, Any] = {
        "floating_ips": (replace(ip, floating_ip_address=evil), replace(ports, port_forwardings=(forwardings,))),
        "routes": ((evil, "10.0.1.11"), ("192.168.0.0/16", evil)),
    }
    made = plan(replace(WHOLE, **wrong), NETWORKS)
    assert len(made.problems) == 4
    assert all(LINE.fullmatch(line) for line in made.nat.splitlines() if line.startswith("-"))
    assert text(replace(WHOLE, floating_ips=(replace(ports, port_forwardings=()),))) == re.sub(
        r"q[rg]-[0-9a-f-]{11}", lambda m: m[0][:2], made.nat
    )


@pytest.mark.parametrize("evil", EVIL)
@pytest.mark.parametrize("field", ["mac_address", "addresses", "next_hops", "port_id", "network_id"])
def test_a_router_whose_ports_cannot_be_read_is_not_planned(field: str, evil: str) -> None:
    assert WHOLE.gateway is not None
    value: Any = (evil,) if field in ("addresses", "next_hops") else evil
    with pytest.raises(Exception, match=r"not|is no"):
        plan(replace(WHOLE, gateway=replace(WHOLE.gateway, **{field: value})), NETWORKS)


@pytest.mark.parametrize(
    ("outer", "inner", "protocol"),
    [((0, 1), (22, 22), "tcp"), ((1, 2), (22, 24), "tcp"), ((9, 8), (22, 22), "tcp"), ((1, 1), (22, 22), "icmp"),
     ((1, 65536), (22, 22), "udp"), ((1, 1), (22, 22), "tcp -j ACCEPT")],
)  # fmt: skip
def test_a_forwarding_that_cannot_be_is_left_out(outer: tuple[int, int], inner: tuple[int, int], protocol: str) -> None:
    wrong = floating(21, None, forwarding(outer, PORT, inner, protocol))
    assert len(plan(replace(WHOLE, floating_ips=(wrong,)), NETWORKS).problems) == 1


def test_what_a_router_advertises() -> None:
    argv = arguments(WHOLE, "/x", "nobody")
    name = f"qr-{INSIDE.port_id[:11]}"
    assert f"--dhcp-range=set:{name}-0,fd00:1::,ra-only,64,86400s" in argv
    assert f"--interface={name}" in argv
    assert arguments(replace(WHOLE, interfaces=(replace(INSIDE, advertises=()),)), "/x", "nobody") == []
    for wrong in ({"cidr": "fd00::/64,ra-only\n"}, {"mode": "slaac,x"}, {"dns_nameservers": ("::1]\nx",)}):
        advertised = AdvertisementModel(**{"cidr": "fd00:1::/64", **wrong})  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=r"not|unknown"):
            arguments(replace(WHOLE, interfaces=(replace(INSIDE, advertises=(advertised,)),)), "/x", "nobody")


def ended(new: RouterModel | None, old: RouterModel | None = WHOLE) -> list[str]:
    return sorted(" ".join(flow.words) for flow in flows.ended(old, new))


def test_a_change_ends_what_lived_by_it() -> None:
    ip, ports = IPS
    one = ["-d 198.51.100.20 --reply-src 10.0.1.11", "-s 10.0.1.11 --reply-dst 198.51.100.20"]
    assert ended(WHOLE) == ended(WHOLE, None) == []
    assert ended(replace(WHOLE, floating_ips=(ports,))) == one
    moved = replace(ip, fixed_ip_address="10.0.1.12")
    assert ended(replace(WHOLE, floating_ips=(moved, ports))) == one
    more: tuple[FloatingIPModel, ...] = (*IPS, floating(22, PORT))
    assert ended(replace(WHOLE, floating_ips=more)) == []  # what left with another address goes on with that
    to_another = replace(ports.port_forwardings[0], internal_ports=(23, 23))
    changed = replace(ports, port_forwardings=(to_another, ports.port_forwardings[1]))
    (flow,) = flows.ended(WHOLE, replace(WHOLE, floating_ips=(ip, changed)))
    assert (flow.words, flow.ports) == (("-p", "tcp", "-d", "198.51.100.21", "--reply-src", "10.0.1.11"), (8022, 8022))
    assert WHOLE.gateway is not None
    assert ended(replace(WHOLE, gateway=replace(WHOLE.gateway, enable_snat=False))) == ["--src-nat 198.51.100.10"]
    assert ended(replace(WHOLE, interfaces=())) == [
        "-d 10.0.1.0/24",
        "-d fd00:1::/64",
        "-s 10.0.1.0/24",
        "-s fd00:1::/64",
    ]
    assert len(ended(None)) == 9


def test_announcements() -> None:
    from kilonova.core.addresses import parse_address

    mac = "fa:16:3e:00:00:01"
    source = bytes.fromhex(mac.replace(":", ""))
    request, reply = frames(source, parse_address("198.51.100.20"))
    assert request.hex() == arp(mac, mac, "198.51.100.20", "198.51.100.20")
    assert reply[20:22] == b"\0\2"
    (neighbour,) = frames(source, parse_address("fd00::1"))
    assert neighbour[:6].hex() == "333300000001"
    assert neighbour[54] == 136
