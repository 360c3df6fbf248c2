"""The pure part: HostModel → text."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from kilonova.network.agent.dhcp.files import dhcp_files
from kilonova.network.agent.firewall.iptables.compile import Filters, Tables, compile_filters
from kilonova.network.agent.firewall.iptables.conntrack import Cut, Permissions, Permits, assign_zones, cuts, entries
from kilonova.network.agent.firewall.iptables.layer2 import L2, change, script
from kilonova.network.agent.firewall.iptables.layer2 import closed as close_l2
from kilonova.network.agent.firewall.iptables.restore import closed, restore_text
from kilonova.network.agent.firewall.iptables.rules import PROTOCOLS, match
from kilonova.network.agent.model import (
    AddressPair,
    DhcpOption,
    FixedIP,
    HostModel,
    NetworkModel,
    PortModel,
    RuleModel,
    SecurityGroupModel,
    bridge_name,
)
from kilonova.network.agent.system.names import link_local, readable
from tests.host.dataplane.lab import group, model, network, new_id, port, rule

NET, GROUP, PORT = (f"{digit * 8}-{digit * 4}-4{digit * 3}-8{digit * 3}-{digit * 12}" for digit in "123")
PERMISSIONS = Permissions()


def compiled(state: HostModel) -> Filters:
    return compile_filters(state, zones=assign_zones([n.id for n in state.networks], {}))


def allowing(state: HostModel, zones: dict[str, int]) -> dict[str, Permits]:
    return PERMISSIONS.of(state, zones)


def l2_text(filters: Filters) -> str:
    assert filters.l2 is not None
    return script(filters.l2, "kn_l2")


def one_port(*rules: RuleModel, **words: object) -> HostModel:
    web = SecurityGroupModel(id=GROUP, rules=rules, members=("198.18.7.10", "fd00:7::a"))
    net = network(NET)
    return model(net, (port(net, 10, web, id=PORT, **words),), web)


def test_golden_v4() -> None:
    state = one_port(
        rule("egress"),
        rule(protocol="tcp", port_range_min=22, port_range_max=22),
        rule(remote_group_id=GROUP),
        rule(protocol="icmp", remote_ip_prefix="198.18.0.0/16"),
    )
    zone = assign_zones([NET], {})[NET]
    assert (
        restore_text("kn", compiled(state).tables[4], {})
        == f"""\
*raw
:kn-raw - [0:0]
-I PREROUTING 1 -j kn-raw
-A kn-raw -i brq11111111-11 -j CT --zone {zone}
COMMIT
*filter
:kn-forward - [0:0]
:kn-input - [0:0]
:kn-from - [0:0]
:kn-to - [0:0]
:kn-allow - [0:0]
:kn-o-33333333-33 - [0:0]
:kn-i-33333333-33 - [0:0]
:kn-ms-22222222222242228222 - [0:0]
:kn-gi-22222222222242228222 - [0:0]
:kn-go-22222222222242228222 - [0:0]
-I FORWARD 1 -j kn-forward
-I INPUT 1 -j kn-input
-A kn-forward -m physdev --physdev-in tap+ -j kn-from
-A kn-forward -m physdev --physdev-out tap+ --physdev-is-bridged -j kn-to
-A kn-forward -i brq11111111-11 -m physdev --physdev-is-bridged -j ACCEPT
-A kn-input -m physdev --physdev-in tap+ -j kn-from
-A kn-from -m physdev --physdev-in tap33333333-33 -g kn-o-33333333-33
-A kn-from -i brq11111111-11 -j DROP
-A kn-to -m physdev --physdev-out tap33333333-33 --physdev-is-bridged -g kn-i-33333333-33
-A kn-to -o brq11111111-11 -j DROP
-A kn-allow -j MARK --set-xmark 0x10000/0x10000
-A kn-o-33333333-33 -j MARK --set-xmark 0x0/0x10000
-A kn-o-33333333-33 -m conntrack --ctstate INVALID -j DROP
-A kn-o-33333333-33 -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN
-A kn-o-33333333-33 -p udp -m udp --sport 68 --dport 67 -j RETURN
-A kn-o-33333333-33 -j kn-go-22222222222242228222
-A kn-o-33333333-33 -m mark --mark 0x10000/0x10000 -j RETURN
-A kn-o-33333333-33 -j DROP
-A kn-i-33333333-33 -m conntrack --ctstate INVALID -j DROP
-A kn-i-33333333-33 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A kn-i-33333333-33 -s 198.18.7.2/32 -p udp -m udp --sport 67 --dport 68 -j ACCEPT
-A kn-i-33333333-33 -j kn-gi-22222222222242228222
-A kn-i-33333333-33 -j DROP
-A kn-ms-22222222222242228222 -s 198.18.7.10/32 -j ACCEPT
-A kn-gi-22222222222242228222 -p tcp -m tcp --dport 22 -j ACCEPT
-A kn-gi-22222222222242228222 -j kn-ms-22222222222242228222
-A kn-gi-22222222222242228222 -s 198.18.0.0/16 -p icmp -j ACCEPT
-A kn-go-22222222222242228222 -g kn-allow
COMMIT
"""
    )


def test_nothing_makes_no_text() -> None:
    filters = compiled(HostModel())
    assert filters.l2 is None
    assert restore_text("kn", filters.tables[4], {}) == ""


def test_a_change_of_one_port_writes_only_its_chains() -> None:
    web = group(rule(protocol="tcp", port_range_min=80, port_range_max=80))
    net = network()
    ports = [port(net, number, web) for number in (10, 11, 12)]
    before = compiled(model(net, tuple(ports[:2]), web)).tables[4]
    after = compiled(model(net, tuple(ports), web)).tables[4]
    chains = {line.split()[0][1:] for line in restore_text("kn", after, before).splitlines() if line[0] == ":"}
    key = ports[2].id[:11]
    assert chains == {"kn-from", "kn-to", f"kn-i-{key}", f"kn-o-{key}"}
    assert restore_text("kn", after, after) == ""
    removal = restore_text("kn", before, after)
    assert f"-X kn-i-{key}" in removal
    assert "FORWARD" not in removal


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({}, ""),
        ({"protocol": "tcp"}, "-p tcp"),
        ({"protocol": "6", "port_range_min": 1, "port_range_max": 65535}, "-p tcp -m tcp --dport 1:65535"),
        ({"protocol": "udp", "port_range_min": 53}, "-p udp -m udp --dport 53"),
        ({"protocol": "sctp", "port_range_min": 1, "port_range_max": 2}, "-p 132 -m multiport --dports 1:2"),
        ({"protocol": "icmp", "port_range_min": 8, "port_range_max": 0}, "-p icmp -m icmp --icmp-type 8/0"),
        ({"protocol": "icmp", "port_range_min": 8}, "-p icmp -m icmp --icmp-type 8"),
        ({"protocol": "icmp", "ethertype": "IPv6"}, "-p ipv6-icmp"),
        ({"protocol": "icmpv6", "ethertype": "IPv6", "port_range_min": 128}, "-p ipv6-icmp -m icmp6 --icmpv6-type 128"),
        ({"remote_ip_prefix": "0.0.0.0/0", "protocol": "112"}, "-p 112"),
        ({"remote_ip_prefix": "10.1.2.3"}, "-s 10.1.2.3/32"),
        ({"remote_ip_prefix": "10.1.2.3/8", "direction": "egress"}, "-d 10.0.0.0/8"),
    ],
)
def test_rules(words: dict[str, object], expected: str) -> None:
    assert match(rule(**{"direction": "ingress", **words})) == expected


@pytest.mark.parametrize(
    "words",
    [
        {"protocol": "nosuch"},
        {"protocol": "256"},
        {"protocol": "0"},
        {"protocol": "-1"},
        {"protocol": "tcp\n-A X"},
        {"protocol": "icmpv6"},
        {"protocol": "1", "ethertype": "IPv6"},
        {"ethertype": "IPv5"},
        {"direction": "both"},
        {"port_range_min": 22, "port_range_max": 22},
        {"protocol": "gre", "port_range_min": 1},
        {"protocol": "tcp", "port_range_min": 9, "port_range_max": 1},
        {"protocol": "tcp", "port_range_min": 1, "port_range_max": 70000},
        {"protocol": "icmp", "port_range_min": 255},
        {"protocol": "icmp", "port_range_max": 1},
        {"remote_ip_prefix": "fd00::/64"},
        {"remote_ip_prefix": "fe80::%lo\n-I INPUT 1 -j ACCEPT\n-A kn-to -s fe80::/64", "ethertype": "IPv6"},
        {"remote_ip_prefix": "fe80::%eth0/64", "ethertype": "IPv6"},
        {"remote_ip_prefix": "10.0.0.0/8 -j ACCEPT"},
        {"remote_ip_prefix": "10.0.0.0/8", "remote_group_id": GROUP},
        {"remote_group_id": NET},
    ],
)
def test_a_rule_that_cannot_be_expressed_admits_nothing(words: dict[str, object]) -> None:
    filters = compiled(one_port(rule(**{"direction": "ingress", **words})))
    assert len(filters.problems) == 1
    for version in (4, 6):
        assert filters.tables[version]["filter"]["kn-gi-22222222222242228222"] == ()


@pytest.mark.parametrize(
    "words",
    [
        {"mac_address": "fa:16:3e:00:00:0a drop"},
        {"mac_address": ""},
        {"fixed_ips": (FixedIP(subnet_id=NET, ip_address="10.0.0.5 accept"),)},
        {"fixed_ips": (FixedIP(subnet_id=NET, ip_address="fe80::1%lo\naccept"),)},
        {"allowed_address_pairs": (AddressPair(ip_address="any"),)},
        {"allowed_address_pairs": (AddressPair(ip_address="fe80::1%lo } accept"),)},
    ],
)
def test_a_port_that_cannot_be_read_is_closed(words: dict[str, object]) -> None:
    filters = compiled(one_port(rule("egress"), rule(), **words))
    for chain in ("kn-i-33333333-33", "kn-o-33333333-33"):
        assert filters.tables[4]["filter"][chain] == filters.tables[6]["filter"][chain] == ("-j DROP",)
    assert [line for line in l2_text(filters).splitlines() if line.startswith("add rule")] == [
        "add rule bridge kn_l2 p-33333333-33 drop"
    ]


def test_a_port_that_is_down_is_closed_also_without_port_security() -> None:
    filters = compiled(one_port(rule("egress"), rule(), admin_state_up=False, port_security_enabled=False))
    assert filters.tables[4]["filter"]["kn-i-33333333-33"] == ("-j DROP",)
    assert 'add element bridge kn_l2 down { "tap33333333-33" }' in l2_text(filters)


def test_without_port_security_there_are_no_filters() -> None:
    filters = compiled(one_port(port_security_enabled=False))
    chains = filters.tables[4]["filter"]
    assert "kn-i-33333333-33" not in chains
    assert chains["kn-from"][0] == "-m physdev --physdev-in tap33333333-33 -j RETURN"
    assert chains["kn-to"][0] == "-m physdev --physdev-out tap33333333-33 --physdev-is-bridged -j ACCEPT"
    assert "p-33333333-33" not in l2_text(filters)


def test_what_has_no_uuid_is_left_out_and_named() -> None:
    net, web = network(NET), group()
    good, bad = port(net, 10, web), port(net, 11, web, id="../x")
    state = HostModel(
        networks=(replace(net, ports=(good, bad)), replace(network(), id="brq\n")),
        security_groups=(web, replace(group(), id="x; reboot")),
    )
    kept, faults = readable(state)
    assert kept == HostModel(networks=(replace(net, ports=(good,)),), security_groups=(web,))
    assert [(f.kind, f.id, f.lasting) for f in faults] == [
        ("network", "brq\n", True), ("port", "../x", True), ("security group", "x; reboot", True)
    ]  # fmt: skip
    assert "port id '../x' is not a uuid" in str(faults[1])
    assert readable(kept) == (kept, [])


def test_a_refused_rule_closes_its_port_or_admits_nothing() -> None:
    tables = {"filter": {"kn-i-33333333-33": ("a", "b"), "kn-gi-22222222222242228222": ("a", "b"), "kn-to": ("a",)}}
    refused = {("kn-i-33333333-33", "a"), ("kn-gi-22222222222242228222", "b")}
    assert closed("kn", tables, refused)["filter"] == {
        "kn-i-33333333-33": ("-j DROP",), "kn-gi-22222222222242228222": ("a",), "kn-to": ("a",)
    }  # fmt: skip
    table = L2({"tapa": ("x", "y"), "tapb": ("x",)}, frozenset(), {"kn-vx7": ("z",)})
    assert close_l2(table, {("p-a", "x"), ("t-kn-vx7", "z")}) == L2(
        {"tapa": ("drop",), "tapb": ("x",)}, frozenset(), {"kn-vx7": ("drop",)}
    )


def test_address_pairs_may_overlap() -> None:
    pairs = (
        AddressPair(ip_address="198.18.7.0/24"),
        AddressPair(ip_address="198.18.7.10"),
        AddressPair(ip_address="198.18.8.1", mac_address="FA:16:3E:00:00:FF"),
    )
    text = l2_text(compiled(one_port(allowed_address_pairs=pairs)))
    assert "ether saddr fa:16:3e:00:00:0a ip saddr { 198.18.7.0/24 } accept" in text
    assert "ether saddr fa:16:3e:00:00:ff ip saddr { 198.18.8.1/32 } accept" in text


def test_link_local() -> None:
    assert link_local("fa:16:3e:00:00:0a") == "fe80::f816:3eff:fe00:a"


def test_zones_are_kept_and_never_shared() -> None:
    networks = [new_id() for _ in range(3000)]
    zones = assign_zones(networks, {})
    assert len(set(zones.values())) == 3000
    assert assign_zones(networks[1500:], zones) == {n: zones[n] for n in networks[1500:]}


def test_cuts() -> None:
    ssh = rule(protocol="tcp", port_range_min=22, port_range_max=22)
    state = one_port(ssh, rule(remote_group_id=GROUP), rule("egress"))
    zones = assign_zones([NET], {})
    zone, before = zones[NET], allowing(state, zones)

    def after(**words: object) -> list[Cut]:
        return cuts(before, allowing(replace(state, **words), zones))

    web = state.security_groups[0]
    assert after() == []
    assert after(security_groups=(replace(web, rules=web.rules[1:]),)) == [Cut(zone, "198.18.7.10", "ingress", 6)]
    assert after(security_groups=(replace(web, members=()),)) == [
        Cut(zone, "198.18.7.10", "ingress", peer="198.18.7.10"),
        Cut(zone, "fd00:7::a", "ingress", peer="fd00:7::a"),
    ]
    prefix = replace(web, members=(*web.members, "10.9.0.0/24"))  # of an address group
    wider = allowing(replace(state, security_groups=(prefix,)), zones)
    assert cuts(wider, before) == [Cut(zone, "198.18.7.10", "ingress", peer="10.9.0.0/24")]
    assert after(networks=()) == [Cut(zone)]
    net = replace(state.networks[0], ports=(replace(state.networks[0].ports[0], id=NET),))
    everything = {Cut(zone, ip, way) for ip in ("198.18.7.10", "fd00:7::a") for way in ("ingress", "egress")}
    assert set(after(networks=(replace(net, ports=(replace(net.ports[0], fixed_ips=()),)),))) == everything
    opened = one_port(port_security_enabled=False)
    assert cuts(before, allowing(opened, zones)) == []
    assert set(cuts(allowing(opened, zones), before)) == everything
    assert Cut(zone, "198.18.7.10", "ingress", 6).argv(4) == [
        "-D",
        "-f",
        "ipv4",
        "-w",
        str(zone),
        "-d",
        "198.18.7.10",
        "-p",
        "6",
    ]


# -- properties ------------------------------------------------------------------------------------------------------

ids = st.uuids(version=4).map(str)
texts = st.one_of(st.none(), st.text(max_size=6), st.sampled_from([*PROTOCOLS, "6", "17", "0", "300"]))
numbers = st.one_of(st.none(), st.integers(-1, 70000))
prefixes = st.one_of(
    st.none(),
    st.text(max_size=8),
    st.builds("{}%{}".format, st.ip_addresses(v=6), st.text(max_size=6)),
    st.ip_addresses().map(str),
    st.sampled_from(["0.0.0.0/0", "::/0", "10.0.0.0/8"]),
)
GROUPS = [str(uuid.UUID(int=n, version=4)) for n in range(1, 4)]
rules = st.builds(
    RuleModel,
    id=ids,
    direction=st.sampled_from(["ingress", "egress"]),
    ethertype=st.sampled_from(["IPv4", "IPv6"]),
    protocol=texts,
    port_range_min=numbers,
    port_range_max=numbers,
    remote_ip_prefix=prefixes,
    remote_group_id=st.one_of(st.none(), st.sampled_from(GROUPS)),
)
groups = st.lists(st.sampled_from(GROUPS), unique=True).flatmap(
    lambda found: st.tuples(
        *(
            st.builds(
                SecurityGroupModel,
                id=st.just(g),
                rules=st.lists(rules, max_size=4).map(tuple),
                members=st.lists(st.one_of(st.ip_addresses().map(str), st.text(max_size=4)), max_size=3).map(tuple),
            )
            for g in found
        )
    )
)
ports = st.builds(
    PortModel,
    id=ids,
    network_id=ids,
    project_id=st.just("p"),
    mac_address=st.one_of(st.just("fa:16:3e:00:00:0a"), st.text(max_size=5)),
    fixed_ips=st.lists(
        st.builds(FixedIP, subnet_id=ids, ip_address=st.one_of(st.ip_addresses().map(str), st.text(max_size=4))),
        max_size=2,
    ).map(tuple),
    admin_state_up=st.booleans(),
    port_security_enabled=st.booleans(),
    local=st.booleans(),
    security_groups=st.lists(st.sampled_from(GROUPS), max_size=3).map(tuple),
)
states = st.builds(
    HostModel,
    security_groups=groups,
    networks=st.lists(
        st.builds(NetworkModel, id=ids, project_id=st.just("p"), ports=st.lists(ports, max_size=3).map(tuple)),
        max_size=3,
    ).map(tuple),
)


@settings(max_examples=150)
@given(states)
def test_every_filtered_local_port_has_chains_that_end_in_drop(state: HostModel) -> None:
    filters = compiled(state)
    for tables in filters.tables.values():
        chains = tables.get("filter", {})
        for net in state.networks:
            for side, chain in (("-i", "kn-from"), ("-o", "kn-to")):
                assert f"{side} {bridge_name(net.id)} -j DROP" in chains[chain]
            for one in net.ports:
                filtered = one.local and (one.port_security_enabled or not one.admin_state_up)
                for way, kind, chain in (("in", "o", "kn-from"), ("out", "i", "kn-to")):
                    name = f"kn-{kind}-{one.id[:11]}"
                    jumps = [r for r in chains[chain] if f"--physdev-{way} tap{one.id[:11]}" in r]
                    assert len(jumps) == (1 if one.local else 0)
                    assert (name in chains) == filtered
                    if filtered:
                        assert jumps[0].endswith(f"-g {name}")
                        assert chains[name][-1] == "-j DROP"
                        assert not any(r.startswith("-j ACCEPT") for r in chains[name])


@settings(max_examples=100)
@given(states)
def test_text_is_whole(state: HostModel) -> None:
    """No line that a value broke in two, no jump to a chain that is not there, no name too long for the kernel."""
    filters = compiled(state)
    for tables in filters.tables.values():
        for chains in tables.values():
            for name, found in chains.items():
                assert len(name) <= 28
                for line in found:
                    assert "\n" not in line
                    assert "  " not in line
                    words = line.split()
                    target = words[1 + max(i for i, w in enumerate(words) if w in ("-j", "-g"))]
                    assert target in {"ACCEPT", "DROP", "RETURN", "MARK", "CT"} or target in chains
    for line in l2_text(filters).splitlines() if filters.l2 else ():
        assert line.strip()[:1] in set("abcdefghijklmnopqrstuvwxyz}")
        assert not line.startswith("add rule") or line.endswith(("drop", "accept"))


def test_layer_2_changes_by_port() -> None:
    one, two = L2({"tapa": ("drop",)}), L2({"tapa": ("drop",), "tapb": ("accept", "drop")}, frozenset({"tapb"}))
    assert change(one, one, "t") == ""
    assert change(one, two, "t").splitlines() == [
        "add chain bridge t p-b",
        "flush chain bridge t p-b",
        "add rule bridge t p-b accept",
        "add rule bridge t p-b drop",
        'add element bridge t ports { "tapb" : jump p-b }',
        'add element bridge t down { "tapb" }',
    ]
    assert change(two, one, "t").splitlines() == [
        'delete element bridge t ports { "tapb" : jump p-b }',
        "delete chain bridge t p-b",
        'delete element bridge t down { "tapb" }',
    ]


def test_a_cut_is_made_only_where_there_is_such_a_connection() -> None:
    there = entries(
        "tcp 6 59 src=10.0.0.5 dst=10.0.0.9 sport=1 dport=2 src=10.0.0.9 dst=10.0.0.5\nudp 17 src=fd00::5 dst=fd00::9"
    )
    assert Cut(1).hits(there)
    assert not Cut(1).hits(entries(""))
    assert Cut(1, "10.0.0.9", "ingress").hits(there)
    assert Cut(1, "10.0.0.5", "egress", 6).hits(there)
    assert not Cut(1, "10.0.0.9", "egress").hits(there)
    assert not Cut(1, "10.0.0.5", "ingress").hits(there)
    assert Cut(1, "10.0.0.9", "ingress", peer="10.0.0.5").hits(there)
    assert Cut(1, "fd00::5", "egress", peer="fd00::9").hits(there)
    assert not Cut(1, "10.0.0.9", "ingress", peer="10.0.0.6").hits(there)
    assert Cut(1, "10.0.0.9", "ingress", peer="10.0.0.0/24").hits(there)  # the tool looks closer


def test_what_a_group_loses_is_cut_at_each_of_its_ports_that_has_it_from_no_other() -> None:
    net = network(NET)
    peers = SecurityGroupModel(id=GROUP, rules=(rule(remote_group_id=GROUP),), members=("198.18.7.10", "198.18.7.99"))
    other = SecurityGroupModel(id=PORT, rules=(rule(remote_group_id=PORT),), members=("198.18.7.99",))
    some = tuple(port(net, number, *([peers, other] if number == 12 else [peers])) for number in (10, 11, 12))
    state = model(net, some, peers, other)
    zones = assign_zones([NET], {})
    fewer = replace(state, security_groups=(replace(peers, members=("198.18.7.10",)), other))
    assert cuts(allowing(state, zones), allowing(fewer, zones)) == [
        Cut(zones[NET], f"198.18.7.{number}", "ingress", peer="198.18.7.99") for number in (10, 11)
    ]
    assert cuts(allowing(fewer, zones), allowing(state, zones)) == []


def restored(old: tuple[str, ...], text: str, chain: str) -> tuple[str, ...]:
    """What a chain has after iptables-restore read the text."""
    rules = [] if f":{chain} - [0:0]" in text.splitlines() else [*old]
    for line in text.splitlines():
        verb, _, rest = line.partition(f" {chain} ")
        if verb == "-A":
            rules.append(rest)
        elif verb == "-D":
            rules.remove(rest)
        elif verb == "-I":
            at, _, new = rest.partition(" ")
            rules.insert(int(at) - 1, new)
    return tuple(rules)


lists = st.lists(st.integers(0, 60).map(lambda n: f"-s 10.0.0.{n} -j ACCEPT"), max_size=60).map(tuple)
mostly = st.lists(st.integers(0, 60), unique=True, min_size=30, max_size=60)


@given(st.one_of(st.tuples(lists, lists), mostly.flatmap(lambda every: st.tuples(_few_less(every), _few_less(every)))))
def test_a_changed_chain_becomes_what_it_must_be(pair: tuple[tuple[str, ...], tuple[str, ...]]) -> None:
    old, new = pair
    text = restore_text("kn", {"filter": {"kn-x": new}}, {"filter": {"kn-x": old}})
    assert restored(old, text, "kn-x") == new


def _few_less(numbers: list[int]) -> st.SearchStrategy[tuple[str, ...]]:
    lost = st.sets(st.sampled_from(numbers), max_size=3)
    return lost.map(lambda gone: tuple(f"-s 10.0.0.{n} -j ACCEPT" for n in numbers if n not in gone))


def test_one_more_port_among_many_writes_few_lines() -> None:
    net = network(NET)
    web = SecurityGroupModel(id=GROUP, rules=(rule(remote_group_id=GROUP),))
    ports = [port(net, number, web) for number in range(3, 203)]

    def tables(count: int) -> Tables:
        some = tuple(sorted(ports[:count], key=lambda p: p.id))
        members = tuple(p.fixed_ips[0].ip_address for p in some)
        return compiled(model(net, some, replace(web, members=members))).tables[4]

    for old, new in ((199, 200), (200, 199)):
        assert len(restore_text("kn", tables(new), tables(old)).splitlines()) < 30


@given(st.sets(st.ip_addresses(v=4).map(str), max_size=5), states)
def test_cutting_never_fails(addresses: set[str], state: HostModel) -> None:
    zones = assign_zones([n.id for n in state.networks], {})
    for one in cuts(allowing(state, zones), {}):
        assert one.argv(4)[0] == "-D"
        assert 0 < one.zone < 65536


@pytest.mark.parametrize(
    ("name", "given"),
    [("web", "web.example.com"), ("web.example.org", "web.example.org"), ("", "host-198-18-7-10.example.com")],
)
def test_dhcp_names_keep_the_domain_they_came_with(name: str, given: str) -> None:
    net = network(NET)
    held = port(net, 10, id=PORT, hostname=name)
    lines = dhcp_files(replace(net, ports=(held,)), 3600, "example.com").hosts.splitlines()
    assert lines[0] == f"{held.mac_address},198.18.7.10,{given}"


def test_names_that_are_served() -> None:
    net = network(NET, dns_domain="net.example.org")
    ports = (
        port(net, 10, hostname="web"),
        port(net, 11, hostname=""),
        port(net, 12, hostname="a.b"),
        port(net, 13, hostname="whole.example.com."),
        port(net, 14, hostname="own", dns_domain="own.example.org"),
        port(net, 15, hostname="bad name\n"),
        port(net, 16, hostname="router", device_owner="network:router_interface"),
    )
    lines = dhcp_files(replace(net, ports=ports), 3600, "example.com").names.splitlines()
    assert lines[::2] == [
        "198.18.7.10 web.net.example.org web",
        "198.18.7.11 host-198-18-7-11.net.example.org host-198-18-7-11",
        "198.18.7.12 a.b.net.example.org",
        "198.18.7.13 whole.example.com",
        "198.18.7.14 own.own.example.org own",
        "198.18.7.15 host-198-18-7-15.net.example.org host-198-18-7-15",
    ]
    assert lines[1] == "fd00:7::a web.net.example.org web"
    bare = replace(net, dns_domain="", ports=(ports[0], ports[2]))
    assert dhcp_files(bare, 3600).names.splitlines()[::2] == ["198.18.7.10 web"]  # "a.b" may be a name of the world
    assert dhcp_files(bare, 3600, "example.com").names.splitlines()[0] == "198.18.7.10 web.example.com web"


def test_dhcp_options_of_one_port() -> None:
    net = network(NET)
    options = (
        DhcpOption(name="bootfile-name", value="pxelinux.0"),
        DhcpOption(name="router", value=""),
        DhcpOption(name="121", value="10.0.0.0/8,198.18.7.3"),
        DhcpOption(name="ntp-server", value="fd00::1,fd00::2", ip_version=6),
        DhcpOption(name="ntp-server", value="fd00::1"),  # not for DHCPv4
    )
    held = port(net, 10, id=PORT, dhcp_options=options)
    files = dhcp_files(replace(net, ports=(held, port(net, 11))), 3600)
    assert files.hosts.splitlines()[0] == f"{held.mac_address},198.18.7.10,guest10"
    assert files.tags == (f"--dhcp-mac=set:{PORT},{held.mac_address}",)
    away = dhcp_files(replace(net, ports=(replace(held, local=False),)), 3600)
    assert (away.tags, PORT in away.options) == ((), False)
    assert files.options.splitlines()[-5:] == [
        f"tag:{PORT},option:bootfile-name,pxelinux.0",
        f"tag:{PORT},option:router",
        f"tag:{PORT},option:classless-static-route,10.0.0.0/8,198.18.7.3",
        f"tag:{PORT},249,10.0.0.0/8,198.18.7.3",
        f"tag:{PORT},option6:ntp-server,[fd00::1],[fd00::2]",
    ]


def test_a_guest_called_like_a_domain_takes_no_names_from_it() -> None:
    """dnsmasq says of what is below `*.com` that it knows no server, not that there is no such name."""
    net = network(NET)
    files = dhcp_files(replace(net, ports=(port(net, 10, hostname="com"),)), 3600, "example.org")
    assert files.local.splitlines() == ["server=/com.example.org/", "server=/com/", "server=/*.com/#"]


@pytest.mark.parametrize("value", ["a\nb", "a,b", "a#b", 'a"b', "a\\b", "a\x00b", "", "ä", "a" * 256])
def test_a_dhcp_option_that_is_no_line_is_not_written(value: str) -> None:
    net = network(NET)
    held = port(net, 10, id=PORT, dhcp_options=(DhcpOption(name="tftp-server", value=value),))
    assert f"tag:{PORT}" not in dhcp_files(replace(net, ports=(held,)), 3600).options


@pytest.mark.parametrize(
    ("mode", "kind", "leased"),
    [
        (None, "static", True),
        ("dhcpv6-stateful", "static", True),
        ("dhcpv6-stateless", "static", False),
        ("slaac", "", False),
    ],
)
def test_dhcpv6_follows_the_subnets_mode(mode: str | None, kind: str, leased: bool) -> None:
    base = network(NET)
    v6 = replace(base.subnets[1], enable_dhcp=True, dhcp_ip="fd00:7::2", ipv6_address_mode=mode)
    found = dhcp_files(replace(base, subnets=(base.subnets[0], v6), ports=(port(base, 10, id=PORT),)), 3600)
    assert [one.split(",")[2] for one in found.ranges[1:]] == ([kind] if kind else [])
    assert ("fd00:7::a" in found.leases, "198.18.7.10" in found.leases) == (leased, True)


def test_addresses_of_several_subnets_of_one_version() -> None:
    """dnsmasq takes several lines of a MAC for IPv4, and one for IPv6."""
    base = network(NET)
    v6 = [
        replace(base.subnets[1], id=str(uuid.uuid4()), cidr=f"fd00:{n}::/64", enable_dhcp=True, dhcp_ip=f"fd00:{n}::2")
        for n in (7, 8)
    ]
    other = replace(base.subnets[0], id=str(uuid.uuid4()), cidr="198.18.9.0/24", dhcp_ip="198.18.9.2")
    subnets = (base.subnets[0], other, *v6)
    ips = tuple(
        FixedIP(subnet_id=s.id, ip_address=ip)
        for s, ip in zip(subnets, ("198.18.7.10", "198.18.9.10", "fd00:7::a", "fd00:8::a"), strict=True)
    )
    one = replace(port(base, 10, id=PORT), fixed_ips=ips, hostname="")
    found = dhcp_files(replace(base, subnets=subnets, ports=(one,)), 3600)
    mac = one.mac_address
    assert found.hosts.splitlines() == [
        f"{mac},198.18.7.10,host-198-18-7-10", f"{mac},198.18.9.10,host-198-18-9-10",
        f"{mac},[fd00:7::a],[fd00:8::a],host-fd00-7--a",
    ]  # fmt: skip
    assert found.leases == {ip.ip_address: mac for ip in ips}
