"""Gratuitous ARP and unsolicited neighbour advertisements: they show neighbours where an address is now. Blocking."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable

from kilonova.core.addresses import IPAddress, parse_address

BROADCAST, ALL_NODES_MAC = b"\xff" * 6, bytes.fromhex("333300000001")
ALL_NODES = parse_address("ff02::1").packed
ARP, IPV6 = b"\x08\x06", b"\x86\xdd"
REQUEST, REPLY = 1, 2
ADVERTISEMENT, ICMPV6, HOP_LIMIT = 136, 58, 255
ROUTER_OVERRIDES = bytes.fromhex("a0000000")  # the flags: a router, and what was known before is wrong


def announce(device: str, mac: str, addresses: Iterable[str]) -> None:
    """Send them from a device of the calling thread's namespace, once. Raises OSError."""
    source = bytes.fromhex(mac.replace(":", ""))
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind((device, 0))
        for address in map(parse_address, addresses):
            for frame in frames(source, address):
                sock.send(frame)


def frames(mac: bytes, address: IPAddress) -> list[bytes]:
    """Of ARP both kinds, as some neighbours heed but one."""
    if isinstance(address, ipaddress.IPv4Address):
        return [_arp(mac, address.packed, operation) for operation in (REQUEST, REPLY)]
    return [_advertisement(mac, address.packed)]


def _arp(mac: bytes, ip: bytes, operation: int) -> bytes:
    head = BROADCAST + mac + ARP + bytes.fromhex("0001080006040000")[:-1] + bytes([operation])
    target = bytes(6) if operation == REQUEST else BROADCAST
    return head + mac + ip + target + ip


def _advertisement(mac: bytes, ip: bytes) -> bytes:
    message = bytes([ADVERTISEMENT, 0, 0, 0]) + ROUTER_OVERRIDES + ip + b"\x02\x01" + mac
    pseudo = ip + ALL_NODES + len(message).to_bytes(4, "big") + bytes([0, 0, 0, ICMPV6])
    message = message[:2] + _checksum(pseudo + message) + message[4:]
    head = b"\x60\0\0\0" + len(message).to_bytes(2, "big") + bytes([ICMPV6, HOP_LIMIT])
    return ALL_NODES_MAC + mac + IPV6 + head + ip + ALL_NODES + message


def _checksum(data: bytes) -> bytes:
    total = sum(int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return (~total & 0xFFFF).to_bytes(2, "big")
