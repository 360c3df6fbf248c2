"""Wire shapes of trunks."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from kilonova.core.web.wire import Body, View
from kilonova.network.resources.base.schemas import Name, StandardCreate, StandardUpdate, StandardView, Uuid


class SubPortIn(Body, kw_only=True):
    """What segmentation is missing or unknown is said by the rules. To remove one, its port's id suffices."""

    port_id: Uuid
    segmentation_type: Name | None = None
    segmentation_id: int | None = None


SubPorts = Annotated[list[SubPortIn], Meta(max_length=512)]


class TrunkCreate(StandardCreate, kw_only=True):
    port_id: Uuid
    admin_state_up: bool = True
    sub_ports: SubPorts | None = None


class TrunkUpdate(StandardUpdate):
    admin_state_up: bool | UnsetType = UNSET


class SubPortsIn(Body):
    sub_ports: SubPorts


class SubPort(View):
    port_id: str
    segmentation_type: str
    segmentation_id: int


class Trunk(StandardView, kw_only=True):
    """`status` is DOWN, BUILD (some subports are not ACTIVE) or ACTIVE."""

    admin_state_up: bool
    port_id: str
    status: str
    sub_ports: list[SubPort]


class SubPortsView(View):
    sub_ports: list[SubPort]
