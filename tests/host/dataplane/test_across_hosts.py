"""The kernel's VXLAN between virtual hosts."""

from __future__ import annotations

import re
from typing import Any

import pytest

from kilonova.network.agent.system.names import vxlan_link
from tests.host.dataplane.across_hosts import Lab, OverlayConformance, _needs_root, lab, places

pytestmark = pytest.mark.lab
__all__ = ["_needs_root", "lab", "places"]  # fixtures


@pytest.fixture
def chosen() -> dict[str, str]:
    return {"overlay": "vxlan"}


class TestVxlan(OverlayConformance):
    kind = "vxlan"

    def device(self, instance: str, segmentation_id: int) -> str:
        return vxlan_link(instance, segmentation_id)

    def reached(self, lab: Lab, name: str, network: Any) -> set[str]:
        """By the device's flood list."""
        device = self.device(lab.instance, network["provider:segmentation_id"])
        entries = lab.places[name].run("bridge", "fdb", "show", "dev", device, check=False).stdout
        peers = set(re.findall(r"^00:00:00:00:00:00 dst (\S+)", entries, re.M))
        return {other for other, place in lab.places.items() if place.address in peers}
