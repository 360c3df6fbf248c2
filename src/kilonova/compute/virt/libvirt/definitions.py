"""The two definitions of a domain: of the guest that runs, and of what it is at its next start."""

from __future__ import annotations

from typing import Any

import libvirt
from lxml import etree

LIVE, CONFIG = libvirt.VIR_DOMAIN_AFFECT_LIVE, libvirt.VIR_DOMAIN_AFFECT_CONFIG


def affected(domain: Any) -> tuple[int, ...]:
    """Those that a change concerns, the running guest's first."""
    return (LIVE, CONFIG) if domain.isActive() else (CONFIG,)


def parsed(domain: Any, side: int) -> etree._Element:
    text = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE if side == CONFIG else 0)
    return etree.fromstring(text.encode())
