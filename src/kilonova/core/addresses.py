"""IP addresses, networks and MACs as text: the one place where all services read them.

Python's `ipaddress` takes a scope id (`fe80::1%eth0`) of any characters, line breaks included. Nothing here is given to other
machines' interfaces, so no scope id means anything: only digits, `:`, `.` and `/` are read, in ASCII.
"""

from __future__ import annotations

import ipaddress
import re

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
IPInterface = ipaddress.IPv4Interface | ipaddress.IPv6Interface

LONGEST = 64  # characters: an IPv6 address with an IPv4 tail and a prefix length has less
_ADDRESS = re.compile(r"[0-9A-Fa-f:.]{1,64}")
_NETWORK = re.compile(r"[0-9A-Fa-f:./]{1,64}")
_MAC = re.compile(r"[0-9A-Fa-f]{2}(?:([:-])[0-9A-Fa-f]{2})(?:\1[0-9A-Fa-f]{2}){4}")


def _checked(text: str, shape: re.Pattern[str], what: str) -> str:
    if not shape.fullmatch(text):
        raise ValueError(f"{text[:LONGEST]!r} is not {what}")
    return text


def parse_address(text: str) -> IPAddress:
    """Raises ValueError."""
    return ipaddress.ip_address(_checked(text, _ADDRESS, "an IP address"))


def address_of(number: int, version: int) -> IPAddress:
    """Of its number."""
    return ipaddress.IPv4Address(number) if version == 4 else ipaddress.IPv6Address(number)


def parse_network(text: str) -> IPNetwork:
    """Host bits are cleared; a single address is its own network. Raises ValueError."""
    return ipaddress.ip_network(_checked(text, _NETWORK, "an IP network"), strict=False)


def parse_interface(text: str) -> IPInterface:
    """An address with its network: host bits are kept. Raises ValueError."""
    return ipaddress.ip_interface(_checked(text, _NETWORK, "an IP network"))


def parse_mac(text: str) -> str:
    """Six octets in lower case with colons. Raises ValueError."""
    return _checked(text, _MAC, "a MAC address").lower().replace("-", ":")
