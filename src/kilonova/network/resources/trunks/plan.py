"""What subports a trunk may have. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from kilonova.network import device_owners
from kilonova.network.errors import InvalidInput
from kilonova.network.resources.routers.errors import PortInUse
from kilonova.network.resources.trunks import errors
from kilonova.network.resources.trunks.schemas import SubPortIn
from kilonova.network.store.networks import NetworkRow
from kilonova.network.store.ports import PortRow

VLAN, INHERIT = "vlan", "inherit"
TAGS = range(1, 4095)


def check_details(asked: Sequence[SubPortIn]) -> None:
    """Each port and each tag once, and tags that there are. Raises InvalidInput."""
    for port_id, count in Counter(one.port_id for one in asked).items():
        if count > 1:
            raise InvalidInput(reason=f"Non unique UUID for subport: '{port_id}'")
    for one in asked:
        if one.segmentation_type == INHERIT:
            raise InvalidInput(
                reason="segmentation_type 'inherit' needs a network of type 'vlan', which there is none of"
            )
        if one.segmentation_type is None or one.segmentation_id is None:
            raise InvalidInput(
                reason=f"Invalid subport details of port {one.port_id}: missing segmentation information. Must specify both "
                "segmentation_id and segmentation_type"
            )
        if one.segmentation_type != VLAN:
            raise InvalidInput(reason=f"Unknown segmentation_type '{one.segmentation_type}'")
        if one.segmentation_id not in TAGS:
            raise InvalidInput(reason=f"Segmentation ID '{one.segmentation_id}' is not in range")
    for vlan, count in Counter(one.segmentation_id for one in asked).items():
        if count > 1:
            raise InvalidInput(reason=f"Segmentation ID '{vlan}' for 'vlan' is not unique")


def check_parent(port: PortRow) -> None:
    """Raises TrunkPortInUse, ParentPortInUse."""
    if port.subport_of is not None:
        raise errors.TrunkPortInUse(port_id=port.id)
    if port.trunk_id is not None or port.device_owner.startswith(device_owners.SERVICES):
        raise errors.ParentPortInUse(port_id=port.id)


def check_subport(port: PortRow, trunk_id: str, parent: PortRow, networks: Mapping[str, NetworkRow]) -> None:
    """Raises ParentPortInUse, TrunkPortInUse, PortInUse, SubPortMtuGreaterThanTrunkPortMtu."""
    if port.id == parent.id or port.trunk_id is not None:
        raise errors.ParentPortInUse(port_id=port.id)
    mtu, most = networks[port.network_id].mtu, networks[parent.network_id].mtu
    if mtu > most:
        raise errors.SubPortMtuGreaterThanTrunkPortMtu(port_id=port.id, mtu=mtu, id=trunk_id, trunk_mtu=most)
    if port.subport_of is not None:
        raise errors.TrunkPortInUse(port_id=port.id)
    if port.device_id or port.device_owner:
        raise PortInUse(id=port.id, network_id=port.network_id, device_id=port.device_id or port.device_owner)
