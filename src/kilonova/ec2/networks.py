"""A project's VPCs as they lie in the network service: a router is a VPC, a network with its subnet is a subnet of the VPC that
its router is. Networks without a router are in the default VPC, whose id is made of the project's."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kilonova.core import errors as core_errors
from kilonova.ec2.call import Ec2Call
from kilonova.ec2.errors import coded
from kilonova.ec2.ids import SUBNET, VPC
from kilonova.ec2.store.records import VpcRow
from kilonova.ec2.store.records import vpcs as store

INTERFACE = "network:router_interface"
DEFAULT_CIDR = "0.0.0.0/0"


@dataclass(frozen=True)
class Vpc:
    """`router` is None for the default one, `routed` whether its subnets have a way out."""

    id: str
    cidr: str
    router: Mapping[str, Any] | None = None
    routed: bool = False


class Networks:
    """Of one project, at one moment. `vpc_of` maps subnets to their VPC."""

    def __init__(
        self, project_id: str, routers: Sequence[dict[str, Any]], subnets: Sequence[dict[str, Any]],
        ports: Sequence[dict[str, Any]], rows: Sequence[VpcRow],
    ) -> None:  # fmt: skip
        self.subnets = [each for each in subnets if each["ip_version"] == 4]
        self.default = Vpc(VPC.id(project_id), DEFAULT_CIDR)
        mine = {each["id"] for each in routers}
        of_subnet = {
            ip["subnet_id"]: port["device_id"] for port in ports for ip in port["fixed_ips"] if port["device_id"] in mine
        }  # fmt: skip
        made = {row.id: row for row in rows}
        self.vpcs = [self.default]
        by_router: dict[str, Vpc] = {}
        for router in routers:
            row, uuid = made.get(router["id"]), router["id"]
            inner = [each["cidr"] for each in self.subnets if of_subnet.get(each["id"]) == uuid]
            cidr = row.cidr if row is not None else _around(inner)
            if cidr is not None:
                routed = row.routed if row is not None else router["external_gateway_info"] is not None
                by_router[uuid] = Vpc(VPC.id(uuid), cidr, router, routed)
        self.vpcs += by_router.values()
        self._vpcs = {each["id"]: by_router.get(of_subnet.get(each["id"], ""), self.default) for each in self.subnets}

    @classmethod
    async def of(cls, call: Ec2Call) -> Networks:
        routers, subnets, ports, rows = await asyncio.gather(
            call.network.all(f"/routers?project_id={call.project_id}", "routers"),
            call.network.all(f"/subnets?project_id={call.project_id}", "subnets"),
            call.network.all(f"/ports?project_id={call.project_id}&device_owner={INTERFACE}", "ports"),
            _rows(call),
        )
        return cls(call.project_id, routers, subnets, ports, rows)

    def vpc(self, vpc_id: str) -> Vpc:
        """Raises CodedError."""
        for each in self.vpcs:
            if each.id == vpc_id:
                return each
        VPC.uuid(vpc_id)
        raise VPC.not_found(vpc_id)

    def vpc_of(self, subnet_id: str) -> Vpc:
        """Of the network service's id of a subnet; others' subnets that are shared are in the default VPC."""
        return self._vpcs.get(subnet_id, self.default)

    def subnet(self, subnet_id: str) -> dict[str, Any]:
        """Raises CodedError."""
        uuid = SUBNET.uuid(subnet_id)
        for each in self.subnets:
            if each["id"] == uuid:
                return each
        raise SUBNET.not_found(subnet_id)


async def _rows(call: Ec2Call) -> Sequence[VpcRow]:
    async with call.database.reading() as connection:
        return await store.find(connection, project_id=call.project_id)


def _around(cidrs: Sequence[str]) -> str | None:
    """The smallest network that all of these are in."""
    if not cidrs:
        return None
    inner = [ipaddress.IPv4Network(each) for each in cidrs]
    found = inner[0]
    while not all(each.subnet_of(found) for each in inner):
        found = found.supernet()
    return str(found)


async def external_network(call: Ec2Call) -> str:
    """The id of the network that internet gateways and addresses are of. Raises CodedError."""
    wanted = call.options.external_network
    found = await call.network.all("/networks?router:external=true", "networks")
    named = [each for each in found if wanted in (each["id"], each["name"])]
    default = [each for each in found if each.get("is_default")]
    for several in (named, default, found):
        if several:
            return str(several[0]["id"])
    raise coded("UnsupportedOperation", "This cloud has no external network.")


async def quietly(deletion: Any) -> None:
    """For what is undone after a failure."""
    with contextlib.suppress(core_errors.KilonovaError):
        await deletion
