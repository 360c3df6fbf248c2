"""How a guest's interface is plugged, as the network service bound its port: one Struct for each `binding:vif_type`.

Fields are those of `binding:vif_details` that a driver needs. A new type is a Struct here, in the union, and in the table of each
driver that serves it (libvirt: `libvirt/devices.py`).
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any

import msgspec

from kilonova.compute.virt.kinds import kind_of, kinds_of


class BridgeVif(msgspec.Struct, frozen=True, kw_only=True, tag_field="vif_type", tag="bridge"):
    """A tap device, which the driver makes, on a bridge, which the network agent makes."""

    tap_name: str
    bridge_name: str


VifBinding = BridgeVif  # of several: BridgeVif | OvsVif
KNOWN = {kind_of(kind): kind for kind in typing.get_args(VifBinding) or (VifBinding,)}

NO_BINDINGS = {
    "binding_failed": "Binding failed for port {port}, please check the network service's logs for more information.",
    "unbound": "Port {port} is not bound to a host.",
}
"""Types that say that there is no binding."""


class VifRefused(Exception):
    """The port is bound in no way that works here; the text names it and is for users."""


def binding_of(port: str, vif_type: str, details: Mapping[str, Any], served: frozenset[type]) -> VifBinding:
    """What a port's `binding:vif_type` and `binding:vif_details` say, for a driver that serves these; raises VifRefused."""
    if vif_type in NO_BINDINGS:
        raise VifRefused(NO_BINDINGS[vif_type].format(port=port))
    if KNOWN.get(vif_type) not in served:
        raise VifRefused(f"Unexpected vif_type={vif_type} of port {port}: the host's driver serves {kinds_of(served)}.")
    try:
        return msgspec.convert({**details, "vif_type": vif_type}, VifBinding)
    except msgspec.ValidationError as error:
        raise VifRefused(f"The binding:vif_details of port {port} can't be used: {error}.") from None
