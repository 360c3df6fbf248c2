"""One security group rule → what iptables matches on. Pure."""

from __future__ import annotations

from kilonova.network.agent.model import RuleModel
from kilonova.network.agent.system.names import clean_network, memo

PROTOCOLS = {
    "icmp": 1,
    "igmp": 2,
    "ipip": 4,
    "tcp": 6,
    "egp": 8,
    "udp": 17,
    "dccp": 33,
    "ipv6-encap": 41,
    "ipv6-route": 43,
    "ipv6-frag": 44,
    "rsvp": 46,
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "icmpv6": 58,
    "ipv6-icmp": 58,
    "ipv6-nonxt": 59,
    "ipv6-opts": 60,
    "ospf": 89,
    "vrrp": 112,
    "pgm": 113,
    "sctp": 132,
    "udplite": 136,
}
PORTS = {6: "tcp", 17: "udp"}
MULTIPORT = {33, 132, 136}
ICMP = {4: (1, "icmp", "icmp", "--icmp-type"), 6: (58, "ipv6-icmp", "icmp6", "--icmpv6-type")}


def version_of(rule: RuleModel) -> int:
    """4 or 6; raises ValueError."""
    versions = {"IPv4": 4, "IPv6": 6}
    if rule.ethertype not in versions:
        raise ValueError(f"unknown ethertype {rule.ethertype!r}")
    return versions[rule.ethertype]


@memo
def match(rule: RuleModel) -> str:
    """The words before `-j`, in the order iptables-save prints them; "" matches everything. Raises ValueError for a rule
    that cannot be said: such a rule admits nothing."""
    version = version_of(rule)
    if rule.direction not in ("ingress", "egress"):
        raise ValueError(f"unknown direction {rule.direction!r}")
    words = _remote(rule, version) + _protocol(rule, version)
    return " ".join(words)


def _remote(rule: RuleModel, version: int) -> list[str]:
    if not rule.remote_ip_prefix:
        return []
    if rule.remote_group_id:
        raise ValueError("a prefix and a group at once")
    prefix = clean_network(rule.remote_ip_prefix)
    if prefix.version != version:
        raise ValueError(f"{prefix} is not {rule.ethertype}")
    return [] if prefix.prefixlen == 0 else ["-s" if rule.direction == "ingress" else "-d", str(prefix)]


def _protocol(rule: RuleModel, version: int) -> list[str]:
    low, high = rule.port_range_min, rule.port_range_max
    if rule.protocol in (None, "", "any"):
        if low is not None or high is not None:
            raise ValueError("ports without a protocol")
        return []
    number = protocol_number(str(rule.protocol), version)
    if number == ICMP[version][0]:
        return _icmp(version, low, high)
    if number in (1, 58):
        raise ValueError(f"protocol {rule.protocol} does not exist in {rule.ethertype}")
    words = ["-p", PORTS.get(number, str(number))]
    if low is None and high is None:
        return words
    low, high = (high if low is None else low), (low if high is None else high)
    if low is None or high is None or not 0 <= low <= high <= 65535:
        raise ValueError(f"bad port range {low}:{high}")
    ports = str(low) if low == high else f"{low}:{high}"
    if number in PORTS:
        return [*words, "-m", PORTS[number], "--dport", ports]
    if number in MULTIPORT:
        return [*words, "-m", "multiport", "--dports", ports]
    raise ValueError(f"protocol {rule.protocol} has no ports")


def protocol_number(protocol: str, version: int) -> int:
    """1 to 255; the name icmp means ICMPv6 in a rule for IPv6. Raises ValueError."""
    number = int(protocol) if protocol.isascii() and protocol.isdecimal() else PROTOCOLS.get(protocol.lower(), 0)
    if not 1 <= number <= 255:
        raise ValueError(f"unknown protocol {protocol!r}")
    return 58 if protocol.lower() == "icmp" and version == 6 else number


def _icmp(version: int, kind: int | None, code: int | None) -> list[str]:
    _number, name, module, option = ICMP[version]
    if kind is None:
        if code is not None:
            raise ValueError("an ICMP code without a type")
        return ["-p", name]
    if not 0 <= kind <= 255 or (code is not None and not 0 <= code <= 255) or (kind == 255 and version == 4):
        raise ValueError(f"bad ICMP type {kind} or code {code}")  # 255 means "any" to iptables
    return ["-p", name, "-m", module, option, str(kind) if code is None else f"{kind}/{code}"]
