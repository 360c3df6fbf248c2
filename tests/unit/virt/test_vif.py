"""What a port's binding says of the vif, and what of it is refused."""

from __future__ import annotations

from typing import Any

import pytest

from kilonova.compute.agent.plugging import plugged
from kilonova.compute.models import Vif
from kilonova.compute.virt.fake import FakeDriver
from kilonova.compute.virt.fake_hypervisor import FakeHypervisor
from kilonova.compute.virt.fake_options import FakeOptions
from kilonova.compute.virt.vif import BridgeVif, VifRefused

DRIVER = FakeDriver("host", FakeHypervisor(), FakeOptions())
BRIDGED = BridgeVif(tap_name="tap1", bridge_name="brq1")
DETAILS = {"tap_name": "tap1", "bridge_name": "brq1", "port_filter": True, "connectivity": "l2"}


def vif(**more: Any) -> Vif:
    return Vif(port_id="port-1", network_id="n", network_name="net", mac_address="fa:16:3e:00:00:01", **more)


def test_the_binding_decides_where_a_guest_is_plugged() -> None:
    assert plugged(DRIVER, vif(details=DETAILS)) == BRIDGED
    assert (vif(details=DETAILS).device_name, vif(vif_type="unbound").device_name) == ("tap1", "")


@pytest.mark.parametrize(
    ("vif_type", "details", "reason"),
    [
        ("binding_failed", {}, "Binding failed for port port-1, please check the network service's logs"),
        ("unbound", {}, "Port port-1 is not bound to a host"),
        ("ovs", DETAILS, "Unexpected vif_type=ovs of port port-1: the host's driver serves bridge"),
        ("", DETAILS, "Unexpected vif_type= of port port-1"),
        ("bridge", {"tap_name": "tap1"}, "binding:vif_details of port port-1 .*bridge_name"),
        ("bridge", {"tap_name": 1, "bridge_name": "b"}, "binding:vif_details of port port-1 .*tap_name"),
    ],
)
def test_bindings_that_are_refused(vif_type: str, details: dict[str, Any], reason: str) -> None:
    with pytest.raises(VifRefused, match=reason):
        plugged(DRIVER, vif(vif_type=vif_type, details=details))
