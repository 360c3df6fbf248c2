"""No text that the API takes becomes more than it is: in rules, leases and options, every one stays one line."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilonova.core.addresses import parse_address, parse_interface, parse_mac, parse_network
from kilonova.core.context import service_context
from kilonova.network.agent.dhcp.files import dhcp_files
from kilonova.network.agent.firewall.iptables.compile import compile_filters
from kilonova.network.agent.firewall.iptables.conntrack import assign_zones
from kilonova.network.agent.firewall.iptables.layer2 import script
from kilonova.network.agent.firewall.iptables.restore import restore_text
from kilonova.network.agent.interface import NetworkPluginAPI
from tests.service.network.conftest import HOST, Cloud

CTX = service_context("req-test")
SCOPED = "fe80::%lo\n-I INPUT 1 -j ACCEPT\n-A kn-to -s fe80::/64"
BAD = (
    SCOPED,
    "fe80::1%eth0",
    "fe80::%eth0/64",
    "10.0.0.5\n",
    "10.0.0.5 ",
    "\u0661.1.1.1",
    "10.0.0.5%eth0",
    "10.0.0.0/8%x",
)


@pytest.mark.parametrize("text", [*BAD, "", "x", "1" * 100])
def test_what_is_no_address(text: str) -> None:
    for parse in (parse_address, parse_network, parse_interface, parse_mac):
        with pytest.raises(ValueError, match=r".+"):
            parse(text)


def test_what_is_one() -> None:
    assert str(parse_address("2001:DB8::1")) == "2001:db8::1"
    assert str(parse_network("10.1.2.3/8")) == "10.0.0.0/8"
    assert str(parse_interface("10.1.2.3/8")) == "10.1.2.3/8"
    assert parse_mac("FA-16-3E-00-00-0A") == parse_mac("fa:16:3e:00:00:0a") == "fa:16:3e:00:00:0a"
    for text in ("fa:16:3e:00:00", "fa-16:3e:00:00:0a", "fa163e00000a", "fa:16:3e:00:00:0g"):
        with pytest.raises(ValueError, match="is not a MAC address"):
            parse_mac(text)


def bodies(network: Any, text: str) -> list[tuple[str, dict[str, Any]]]:
    """(resource, values) in each place of the API that takes an address, a network or a MAC."""
    subnet = {"network_id": network["id"], "cidr": "10.77.0.0/24"}
    port = {"network_id": network["id"]}
    six = {"network_id": network["id"], "cidr": "fd77::/64", "ip_version": 6}
    return [
        ("subnet", six | {"cidr": text}),
        ("subnet", six | {"gateway_ip": text}),
        ("subnet", six | {"dns_nameservers": [text]}),
        ("subnet", six | {"host_routes": [{"destination": text, "nexthop": "fd77::9"}]}),
        ("subnet", six | {"host_routes": [{"destination": "fd78::/64", "nexthop": text}]}),
        ("subnet", six | {"allocation_pools": [{"start": text, "end": "fd77::9"}]}),
        ("subnet", six | {"allocation_pools": [{"start": "fd77::9", "end": text}]}),
        ("subnet", six | {"ipv6_ra_mode": text, "ipv6_address_mode": text}),
        ("subnet", subnet | {"cidr": text}),
        ("subnet", subnet | {"gateway_ip": text}),
        ("subnet", subnet | {"dns_nameservers": [text]}),
        ("subnet", subnet | {"host_routes": [{"destination": text, "nexthop": "10.77.0.9"}]}),
        ("subnet", subnet | {"host_routes": [{"destination": "10.9.0.0/16", "nexthop": text}]}),
        ("subnet", subnet | {"allocation_pools": [{"start": text, "end": "10.77.0.9"}]}),
        ("subnet", subnet | {"allocation_pools": [{"start": "10.77.0.9", "end": text}]}),
        ("port", port | {"mac_address": text}),
        ("port", port | {"fixed_ips": [{"ip_address": text}]}),
        ("port", port | {"allowed_address_pairs": [{"ip_address": text}]}),
        ("port", port | {"allowed_address_pairs": [{"ip_address": "10.0.0.9", "mac_address": text}]}),
        ("security_group_rule", {"direction": "ingress", "ethertype": "IPv6", "remote_ip_prefix": text}),
        ("security_group_rule", {"direction": "ingress", "ethertype": "IPv4", "remote_ip_prefix": text}),
    ]


@pytest.mark.parametrize("text", BAD)
async def test_each_place_refuses_scope_ids_and_the_like(cloud: Cloud, text: str):
    network, subnet = await cloud.network()
    port = await cloud.make("port", network_id=network["id"])
    group = (await cloud.make("security_group", name="g"))["id"]
    for resource, values in bodies(network, text):
        if resource == "security_group_rule":
            values["security_group_id"] = group
        path = "/" + resource.replace("_", "-") + "s"
        answer = await cloud("POST", path, json={resource: values})
        assert answer.status == 400, (resource, values, answer.content)
        changed = {"subnet": subnet, "port": port}.get(resource)
        if changed is not None and "cidr" not in {k for k, v in values.items() if v == text}:
            update = {k: v for k, v in values.items() if k not in ("network_id", "cidr", "ip_version")}
            answer = await cloud("PUT", f"{path}/{changed['id']}", token="admin", json={resource: update})
            assert answer.status == 400, (resource, update, answer.content)
    for path in (
        "/ports?mac_address=", "/ports?fixed_ips=ip_address=", "/ports?fixed_ips=ip_address_substr=", "/subnets?cidr=",
        "/subnets?gateway_ip=", "/security-group-rules?remote_ip_prefix=",
    ):  # fmt: skip
        answer = await cloud("GET", path + "".join(f"%{byte:02x}" for byte in text.encode()))
        assert answer.status == 400, (path, answer.content)
    assert len((await cloud("GET", f"/ports?network_id={network['id']}")).json["ports"]) == 2
    assert len((await cloud("GET", f"/security-groups/{group}")).json["security_group"]["security_group_rules"]) == 2


async def test_filters_find_addresses_in_any_spelling(cloud: Cloud):
    network, _ = await cloud.network()
    port = await cloud.make("port", network_id=network["id"], mac_address="fa:16:3e:00:00:0a")
    for query in ("mac_address=FA-16-3E-00-00-0A", f"fixed_ips=ip_address={port['fixed_ips'][0]['ip_address']}"):
        assert [p["id"] for p in (await cloud("GET", f"/ports?{query}")).json["ports"]] == [port["id"]]
    assert (await cloud("GET", "/subnets?cidr=10.0.0.0/24&gateway_ip=10.0.0.1")).json["subnets"] != []


GOOD = (
    "10.9.0.0/16", "10.0.0.77", "fd00::7", "fd00::/64", "::/0", "fa:16:3e:11:22:33", "tcp", "58", "guest-1", "compute:nova",
    "10.0.0.0/255.255.0.0", "::ffff:10.0.0.1",
)  # fmt: skip
JOINTS = (
    "%",
    "%lo\n",
    "\n",
    "\r",
    " ",
    ",",
    "/",
    ";",
    "#",
    "\x0b",
    "\x85",
    "\u2028",
    "\\n",
    '"',
    "'",
    "{",
    "}",
    "\x00",
)
texts = st.one_of(
    st.sampled_from(GOOD),
    st.text(max_size=30),
    st.builds("{}{}{}".format, st.sampled_from(GOOD), st.sampled_from(JOINTS), st.sampled_from((*GOOD, "-j ACCEPT"))),
    st.builds("{}{}{}".format, st.sampled_from(GOOD), st.sampled_from(JOINTS), st.text(max_size=12)),
)
FIELDS = ("name", "description", "device_id", "device_owner", "dns_name")
RULE = re.compile(r"-A kn-[a-z0-9-]+ [A-Za-z0-9 ./:,+_-]+")
LAYER_2 = re.compile(r"add rule bridge kn_l2 p-[0-9a-f-]+ [A-Za-z0-9 ./:,{}!=@_-]+")
LEASE = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2},[0-9a-f.:\[\]]+,[A-Za-z0-9.-]+")
OPTION = re.compile(r"tag:[0-9a-f-]{36},(?:option6?:[a-z-]+|249)(?:,[A-Za-z0-9.:/,\[\]-]+)?")


async def check(cloud: Cloud) -> None:
    """What a host would write has as many lines as there are rules, leases and options."""
    model = await cloud.core.bus.client(NetworkPluginAPI).host_model(CTX, HOST)
    filters = compile_filters(model, zones=assign_zones([n.id for n in model.networks], {}))
    for tables in filters.tables.values():
        lines = [line for line in restore_text("kn", tables, {}).split("\n") if not line.startswith(("*", ":", "-I "))]
        rules = sum(len(found) for chains in tables.values() for found in chains.values())
        assert len(lines) == rules + 2 + 1, lines  # two COMMITs, the last line's end
        assert all(RULE.fullmatch(line) for line in lines if line not in ("COMMIT", "")), lines
    assert filters.l2 is not None
    lines = [line for line in script(filters.l2, "kn_l2").split("\n") if " p-" in line and line.startswith("add rule")]
    assert len(lines) == sum(len(rules) for rules in filters.l2.taps.values())
    assert all(LAYER_2.fullmatch(line) for line in lines), lines
    for network in model.networks:
        files = dhcp_files(network, 86400)
        leases, options = files.hosts.split("\n")[:-1], files.options.split("\n")[:-1]
        leasing = {
            s.id for s in network.subnets if s.dhcp_ip and s.ipv6_address_mode not in ("slaac", "dhcpv6-stateless")
        }
        guests = [p for p in network.ports if not p.device_owner.startswith("network:")]
        assert len(leases) == sum(len({ip.subnet_id for ip in p.fixed_ips} & leasing) for p in guests)
        old = [s for s in network.subnets if s.dhcp_ip and s.ip_version == 4]
        new = [s for s in network.subnets if s.dhcp_ip and s.ip_version == 6 and s.dns_nameservers]
        assert len(options) == 5 * len(old) + len(new)
        assert all(LEASE.fullmatch(line) for line in leases), leases
        assert all(OPTION.fullmatch(line) for line in options), options


async def test_no_text_that_is_taken_adds_a_line(cloud: Cloud):
    """Each example is one text in every place; what is taken is compiled as a host would, and deleted again."""
    network, _ = await cloud.network()
    await cloud.make("subnet", network_id=network["id"], cidr="fd00::/64", ip_version=6, dns_nameservers=["fd00::53"])
    group = (await cloud.make("security_group", name="g"))["id"]
    await cloud.bound(network, security_groups=[group], dns_name="first")
    loop = asyncio.get_running_loop()
    taken: set[str] = set()

    async def tried(resource: str, values: dict[str, Any]) -> bool:
        path = "/" + resource.replace("_", "-") + "s"
        answer = await cloud("POST", path, token="admin", json={resource: values})
        assert answer.status in (201, 400, 409), answer.content
        if answer.status != 201:
            return False
        await check(cloud)
        gone = await cloud("DELETE", f"{path}/{answer.json[resource]['id']}", token="admin")
        assert gone.status == 204, gone.content
        return True

    async def one(text: str) -> None:
        places = bodies(network, text)
        places += [("port", {"network_id": network["id"], field: text}) for field in FIELDS]
        places += [("security_group_rule", {"direction": "ingress", "protocol": text})]
        for resource, values in places:
            more = {
                "security_group_rule": {"security_group_id": group},
                "port": {"binding:host_id": HOST, "security_groups": [group]},
            }.get(resource, {})
            if await tried(resource, values | more):
                taken.add(text)

    @settings(max_examples=50, deadline=None)
    @given(texts)
    def examples(text: str) -> None:
        asyncio.run_coroutine_threadsafe(one(text), loop).result(60)

    for text in (*BAD, *GOOD):
        await one(text)
    await asyncio.to_thread(examples)
    assert taken > {*GOOD} - {"58"}  # the test would show nothing if all were refused
