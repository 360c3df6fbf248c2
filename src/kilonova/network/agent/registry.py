"""The parts that an operator can choose, by the keys of `[dataplane]`, and the data plane that is composed of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kilonova.core.registry import Registry
from kilonova.network.agent.composed import ComposedDataPlane
from kilonova.network.agent.parts import L2, L3, Dhcp, Firewall, Metadata, Overlay, Parts

if TYPE_CHECKING:
    from kilonova.network.agent.metadata.proxy import MetadataUpstream
    from kilonova.network.agent.options import DataPlaneOptions


def _bridge(options: DataPlaneOptions) -> L2:
    from kilonova.network.agent.l2.bridge.part import BridgeL2

    return BridgeL2(options)


def _iptables(options: DataPlaneOptions) -> Firewall:
    from kilonova.network.agent.firewall.iptables.part import IptablesFirewall

    return IptablesFirewall(options)


def _vxlan(options: DataPlaneOptions, l2: L2) -> Overlay:
    from kilonova.network.agent.overlay.vxlan import Vxlan

    return Vxlan(options, l2)


def _dnsmasq(options: DataPlaneOptions) -> Dhcp:
    from kilonova.network.agent.dhcp.dnsmasq import Dnsmasq

    return Dnsmasq(options)


def _parts(key: str, **own: Callable[..., Any]) -> Registry[Callable[..., Any]]:
    return Registry(f"[dataplane] {key}", f"{key} part", f"data_plane_{key}", own)


def _namespace(options: DataPlaneOptions, l2: L2, metadata: Metadata | None) -> L3:
    from kilonova.network.agent.l3.namespace.part import NamespaceL3

    return NamespaceL3(options, l2, metadata)


PARTS: dict[str, Registry[Callable[..., Any]]] = {
    "l2": _parts("l2", bridge=_bridge),
    "firewall": _parts("firewall", iptables=_iptables),
    "overlay": _parts("overlay", vxlan=_vxlan),
    "dhcp": _parts("dhcp", dnsmasq=_dnsmasq),
    "l3": _parts("l3", namespace=_namespace),
}
"""Key of `[dataplane]` → what is made from DataPlaneOptions; an overlay from these and the L2 part, an L3 part
from these, the L2 and the metadata part (None: there is none)."""


def check_names(chosen: object) -> None:
    """`chosen` has the keys of PARTS as attributes. Raises ConfigError for a name that is not known, with those that are."""
    for key, known in PARTS.items():
        known[getattr(chosen, key)]


def compose(options: DataPlaneOptions, metadata: MetadataUpstream | None = None) -> ComposedDataPlane:
    """The data plane of the chosen parts, not yet opened. `metadata` None: no metadata listeners. Raises ConfigError."""
    from kilonova.network.agent.metadata.part import NamespaceMetadata

    chosen = {key: known[getattr(options, key)] for key, known in PARTS.items()}
    l2 = chosen["l2"](options)
    listener = NamespaceMetadata(metadata) if metadata is not None else None
    parts = Parts(
        l2=l2,
        firewall=chosen["firewall"](options),
        overlay=chosen["overlay"](options, l2),
        dhcp=chosen["dhcp"](options),
        metadata=listener,
        l3=chosen["l3"](options, l2, listener),
    )
    return ComposedDataPlane("bridge", parts)
