"""Wire shapes of QoS rules. Rates are kilobits a second (1000 bits) and thousands of packets a second, bursts as much at once; a
rate of 0 is no limit, a burst of 0 the cloud's choice."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from kilonova.core.web.wire import Body, View

MOST = 2147483647
DSCP_MARKS = (0, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36, 38, 40, 44, 46, 48, 56)
DIRECTIONS = ("egress", "ingress")
Amount = Annotated[int, Meta(ge=0, le=MOST)]
Direction = Literal["egress", "ingress"]  # from the port, to the port
DscpMark = Literal[0, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36, 38, 40, 44, 46, 48, 56]


class BandwidthLimitCreate(Body, kw_only=True):
    max_kbps: Amount
    max_burst_kbps: Amount = 0
    direction: Direction = "egress"


class BandwidthLimitUpdate(Body):
    max_kbps: Amount | UnsetType = UNSET
    max_burst_kbps: Amount | UnsetType = UNSET
    direction: Direction | UnsetType = UNSET


class BandwidthLimit(View):
    id: str
    max_kbps: int
    max_burst_kbps: int
    direction: str


class PacketRateLimitCreate(Body, kw_only=True):
    max_kpps: Amount
    max_burst_kpps: Amount = 0
    direction: Direction = "egress"


class PacketRateLimitUpdate(Body):
    max_kpps: Amount | UnsetType = UNSET
    max_burst_kpps: Amount | UnsetType = UNSET
    direction: Direction | UnsetType = UNSET


class PacketRateLimit(View):
    id: str
    max_kpps: int
    max_burst_kpps: int
    direction: str


class DscpMarkingCreate(Body, kw_only=True):
    dscp_mark: DscpMark


class DscpMarkingUpdate(Body):
    dscp_mark: DscpMark | UnsetType = UNSET


class DscpMarking(View):
    """What packets from the port carry in their DSCP field."""

    id: str
    dscp_mark: int


class RuleType(View):
    type: str


class RuleTypes(View):
    rule_types: list[RuleType]


class Parameter(View):
    """`parameter_values` is `{"start": 0, "end": 2147483647}` for a range, a list for choices."""

    parameter_name: str
    parameter_type: str
    parameter_values: Any


class Driver(View):
    name: str
    supported_parameters: list[Parameter]


class RuleTypeDetails(RuleType):
    drivers: list[Driver]


class RuleTypeBody(View):
    rule_type: RuleTypeDetails
