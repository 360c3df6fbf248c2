"""The DHCP options that a port may have beside those of its subnet, and what their values may be. Names are dnsmasq's."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from kilonova.core.addresses import parse_address, parse_network
from kilonova.network.agent.model import DhcpOption

TEXT = re.compile(
    r"[A-Za-z0-9 .:/_=!@{}\[\]+?&%~;$()*-]{1,255}"
)  # without what a line of dnsmasq's file may end or split at
MOST = 255  # characters


def _text(value: str) -> None:
    if not TEXT.fullmatch(value):
        raise ValueError("it must be 1 to 255 letters, digits, spaces and . : / _ = ! @ { } [ ] + ? & % ~ ; $ ( ) * -")


def _addresses(value: str) -> None:
    for one in value.split(","):
        parse_address(one)


def _number(value: str) -> None:
    if not re.fullmatch(r"[0-9]{1,9}", value):
        raise ValueError("it must be a number")


def _routes(value: str) -> None:
    words = value.split(",")
    if len(words) % 2:
        raise ValueError("it must be prefixes, each with its next hop: PREFIX,ADDRESS,PREFIX,ADDRESS")
    for prefix, hop in zip(words[::2], words[1::2], strict=True):
        parse_network(prefix)
        parse_address(hop)


Check = Callable[[str], None]
BLANK = ("router", "classless-static-route")
"""May be empty: the client is not told what its subnet says."""
NAMES: Mapping[int, Mapping[str, tuple[int, Check]]] = {
    4: {
        "router": (3, _addresses), "dns-server": (6, _addresses), "log-server": (7, _addresses), "lpr-server": (9, _addresses),
        "boot-file-size": (13, _number), "domain-name": (15, _text), "swap-server": (16, _addresses), "root-path": (17, _text),
        "extension-path": (18, _text), "default-ttl": (23, _number), "mtu": (26, _number), "static-route": (33, _addresses),
        "tcp-ttl": (37, _number), "tcp-keepalive": (38, _number), "nis-domain": (40, _text), "nis-server": (41, _addresses),
        "ntp-server": (42, _addresses), "netbios-ns": (44, _addresses), "netbios-dd": (45, _addresses),
        "netbios-nodetype": (46, _number), "x-windows-fs": (48, _addresses), "x-windows-dm": (49, _addresses),
        "nis+-domain": (64, _text), "nis+-server": (65, _addresses), "tftp-server": (66, _text), "bootfile-name": (67, _text),
        "smtp-server": (69, _addresses), "pop3-server": (70, _addresses), "nntp-server": (71, _addresses),
        "irc-server": (74, _addresses), "posix-timezone": (100, _text), "tzdb-timezone": (101, _text),
        "domain-search": (119, _text), "classless-static-route": (121, _routes), "tftp-server-address": (150, _addresses),
        "server-ip-address": (255, _addresses),
    },
    6: {
        "dns-server": (23, _addresses), "domain-search": (24, _text), "nis-server": (27, _addresses),
        "nis+-server": (28, _addresses), "nis-domain": (29, _text), "nis+-domain": (30, _text), "sntp-server": (31, _addresses),
        "information-refresh-time": (32, _number), "posix-timezone": (41, _text), "tzdb-timezone": (42, _text),
        "ntp-server": (56, _addresses), "bootfile-url": (59, _text), "bootfile-param": (60, _text),
    },
}  # fmt: skip
"""IP version → name → (number, what a value must be)."""
NUMBERS = {version: {number: name for name, (number, _) in names.items()} for version, names in NAMES.items()}


def check(name: str, value: str, version: int) -> None:
    """Raises ValueError for an option that ports cannot have, and for a value that it cannot have."""
    known = _name(name, version)
    if known is None:
        names = ", ".join(sorted(NAMES[version]))
        raise ValueError(f"'{name}' is not one of the DHCPv{version} options that a port can have: {names}")
    if value == "" and known in BLANK:
        return
    if len(value) > MOST:
        raise ValueError(f"the value of {name} is longer than {MOST} characters")
    try:
        NAMES[version][known][1](value)
    except ValueError as why:
        raise ValueError(f"{value!r} is no value of {name}: {why}") from None


def _name(name: str, version: int) -> str | None:
    """Clients may name an option by its number."""
    if name.isascii() and name.isdecimal() and len(name) <= 3:
        return NUMBERS[version].get(int(name))
    return name if name in NAMES[version] else None


def lines(tag: str, options: tuple[DhcpOption, ...]) -> list[str]:
    """What dnsmasq's file says of them; nothing of one with addresses of the other IP version."""
    found = []
    for option in options:
        check(option.name, option.value, option.ip_version)  # the network service's word is not taken for it
        name = _name(option.name, option.ip_version) or ""
        kind = NAMES[option.ip_version][name][1]
        values = option.value
        if option.ip_version == 6 and kind is _addresses:
            values = ",".join(f"[{address}]" for address in option.value.split(","))
        if kind in (_addresses, _routes) and any((":" in w) != (option.ip_version == 6) for w in _words(option.value)):
            continue
        written = [f"option:{name}"] if option.ip_version == 4 else [f"option6:{name}"]
        written += ["249"] if name == "classless-static-route" else []  # the number that older Windows asks for
        found += [f"tag:{tag},{one},{values}" if values else f"tag:{tag},{one}" for one in written]
    return found


def _words(value: str) -> list[str]:
    return value.split(",") if value else []
