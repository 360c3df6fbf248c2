"""Interfaces of a domain that runs or is off: short functions on a `virDomain` that block, for the connection's threads."""

from __future__ import annotations

from typing import Any

from lxml import etree

from kilonova.compute.virt.libvirt.definitions import LIVE, affected, parsed
from kilonova.compute.virt.libvirt.taps import remove_leftover


def macs(domain: Any) -> frozenset[str]:
    return frozenset(_interfaces(domain, affected(domain)[0]))


def attach(domain: Any, mac: str, xml: str) -> None:
    """Where the running guest or the definition lacks it."""
    for side in affected(domain):
        if mac not in _interfaces(domain, side):
            if side == LIVE:
                _remove_leftovers(xml)
            domain.attachDeviceFlags(xml, side)


def ask_to_detach(domain: Any, mac: str) -> bool:
    """Whether it is gone. The definition loses it at once, a running guest when it obeys."""
    for side in reversed(affected(domain)):
        held = _interfaces(domain, side).get(mac)
        if held is not None:
            domain.detachDeviceFlags(held, side)
    return mac not in macs(domain)


def _interfaces(domain: Any, side: int) -> dict[str, str]:
    """MAC address → its element."""
    held: dict[str, str] = {}
    for node in parsed(domain, side).iterfind("devices/interface"):
        mac = node.find("mac")
        if mac is not None:
            held[mac.get("address", "")] = etree.tostring(node, encoding="unicode")
    return held


def _remove_leftovers(xml: str) -> None:
    for target in etree.fromstring(xml).iterfind("target"):
        remove_leftover(target.get("dev", ""))
