"""Internet gateways and route tables. A gateway that is attached gives its VPC's router a way out when the route to it is made;
each VPC has its main route table alone, which is its router's."""

from __future__ import annotations

import asyncio
from typing import Any

from kilonova.core.db import DuplicateRow
from kilonova.ec2.call import Ec2Call, Result, refused
from kilonova.ec2.errors import MissingParameter, coded
from kilonova.ec2.filters import at, filtered
from kilonova.ec2.ids import GATEWAY, INSTANCE, INTERFACE, ROUTE_TABLE, VPC
from kilonova.ec2.networks import Networks, Vpc, external_network
from kilonova.ec2.paging import paged
from kilonova.ec2.store.records import GatewayRow, gateways, vpcs
from kilonova.ec2.tags import Tags, forget, write_specified

FILTERS = {
    "internet-gateway-id": at("InternetGatewayId"), "attachment.vpc-id": at("Attachments", "VpcId"),
    "attachment.state": at("Attachments", "State"), "owner-id": at("OwnerId"),
}  # fmt: skip
TABLE_FILTERS = {
    "route-table-id": at("RouteTableId"), "vpc-id": at("VpcId"), "owner-id": at("OwnerId"),
    "association.main": at("Associations", "Main"), "association.route-table-id": at("Associations", "RouteTableId"),
    "association.subnet-id": at("Associations", "SubnetId"), "route.gateway-id": at("Routes", "GatewayId"),
    "route.destination-cidr-block": at("Routes", "DestinationCidrBlock"), "route.state": at("Routes", "State"),
    "association.route-table-association-id": at("Associations", "RouteTableAssociationId"),
}  # fmt: skip
EVERYWHERE = "0.0.0.0/0"


async def create_internet_gateway(call: Ec2Call) -> Result:
    row = {"id": call.cloud.clock.uuid(), "project_id": call.project_id, "vpc_id": None}
    async with call.database.transaction() as tx:
        await gateways.add(tx.connection, row)
    gateway = GATEWAY.id(row["id"] or "")
    await write_specified(call, {"internet-gateway": [gateway]})
    tags = await Tags.of(call)
    shown = {"InternetGatewayId": gateway, "Attachments": [], "OwnerId": call.project_id}
    return {"InternetGateway": tags.on(shown, "InternetGatewayId")}


async def describe_internet_gateways(call: Ec2Call) -> Result:
    tags, ids = await Tags.of(call), call.params.get("InternetGatewayIds", ())
    rows = [await _gateway(call, each) for each in dict.fromkeys(ids)] or await _all(call)
    shown = [tags.on(_view(row), "InternetGatewayId") for row in rows]
    page, token = paged(filtered(shown, call.params.get("Filters"), FILTERS), call.params, ids="InternetGatewayIds")
    return {"InternetGateways": page, "NextToken": token}


async def delete_internet_gateway(call: Ec2Call) -> Result:
    row = await _gateway(call, call.params["InternetGatewayId"])
    async with call.database.transaction() as tx:
        gone = await gateways.remove(tx.connection, id=row.id, vpc_id=None)
    if not gone:
        raise coded("DependencyViolation", f"The internetGateway '{GATEWAY.id(row.id)}' has dependencies.")
    await forget(call, GATEWAY.id(row.id))
    return {}


async def attach_internet_gateway(call: Ec2Call) -> Result:
    row, vpc = (
        await _gateway(call, call.params["InternetGatewayId"]),
        (await Networks.of(call)).vpc(call.params["VpcId"]),
    )
    if vpc.router is None:
        raise coded("UnsupportedOperation", "The default VPC has no router.")
    try:
        async with call.database.transaction() as tx:
            done = await gateways.change(tx.connection, {"vpc_id": vpc.router["id"]}, id=row.id, vpc_id=None)
    except DuplicateRow:
        raise coded("InvalidParameterValue", f"Network {vpc.id} already has an internet gateway attached") from None
    if not done:
        raise coded("Resource.AlreadyAssociated", f"resource {GATEWAY.id(row.id)} is already attached to a network")
    return {}


async def detach_internet_gateway(call: Ec2Call) -> Result:
    row, vpc = (
        await _gateway(call, call.params["InternetGatewayId"]),
        (await Networks.of(call)).vpc(call.params["VpcId"]),
    )
    if vpc.router is None or row.vpc_id != vpc.router["id"]:
        raise coded("Gateway.NotAttached", f"resource {GATEWAY.id(row.id)} is not attached to network {vpc.id}")
    await _set_way_out(call, vpc, None)
    async with call.database.transaction() as tx:
        await gateways.change(tx.connection, {"vpc_id": None}, id=row.id, vpc_id=row.vpc_id)
    return {}


async def _all(call: Ec2Call) -> list[GatewayRow]:
    async with call.database.reading() as connection:
        return list(await gateways.find(connection, project_id=call.project_id))


async def _gateway(call: Ec2Call, gateway_id: str) -> GatewayRow:
    async with call.database.reading() as connection:
        row = await gateways.get(connection, id=GATEWAY.uuid(gateway_id), project_id=call.project_id)
    if row is None:
        raise GATEWAY.not_found(gateway_id)
    return row


def _view(row: GatewayRow) -> dict[str, Any]:
    attached = [{"VpcId": VPC.id(row.vpc_id), "State": "available"}] if row.vpc_id else []
    return {"InternetGatewayId": GATEWAY.id(row.id), "Attachments": attached, "OwnerId": row.project_id}


async def _set_way_out(call: Ec2Call, vpc: Vpc, network_id: str | None) -> None:
    assert vpc.router is not None  # noqa: S101
    gateway = {"network_id": network_id} if network_id else {}
    with refused(Conflict="DependencyViolation", BadRequest="InvalidParameterValue"):
        await call.network.put(f"/routers/{vpc.router['id']}", {"router": {"external_gateway_info": gateway or None}})
    async with call.database.transaction() as tx:
        await vpcs.change(tx.connection, {"routed": network_id is not None}, id=vpc.router["id"])


# ---- route tables


async def describe_route_tables(call: Ec2Call) -> Result:
    networks, tags, attached = await asyncio.gather(Networks.of(call), Tags.of(call), _all(call))
    ways = {row.vpc_id: GATEWAY.id(row.id) for row in attached if row.vpc_id}
    shown = [
        tags.on(_table(call, vpc, ways.get(vpc.router["id"])), "RouteTableId")
        for vpc in networks.vpcs
        if vpc.router is not None
    ]
    ids = call.params.get("RouteTableIds", ())
    if missing := sorted(set(ids) - {item["RouteTableId"] for item in shown}):
        ROUTE_TABLE.uuid(missing[0])
        raise ROUTE_TABLE.not_found(missing[0])
    shown = [item for item in shown if not ids or item["RouteTableId"] in ids]
    page, token = paged(filtered(shown, call.params.get("Filters"), TABLE_FILTERS), call.params, ids="RouteTableIds")
    return {"RouteTables": page, "NextToken": token}


def _table(call: Ec2Call, vpc: Vpc, gateway: str | None) -> dict[str, Any]:
    assert vpc.router is not None  # noqa: S101
    table = ROUTE_TABLE.id(vpc.router["id"])
    routes = [_route(vpc.cidr, "CreateRouteTable", GatewayId="local")]
    if vpc.routed:
        routes.append(_route(EVERYWHERE, "CreateRoute", GatewayId=gateway or "igw-external"))
    routes += [_route(each["destination"], "CreateRoute") for each in vpc.router["routes"]]
    main = {
        "Main": True, "RouteTableId": table, "RouteTableAssociationId": table.replace("rtb-", "rtbassoc-"),
        "AssociationState": {"State": "associated"},
    }  # fmt: skip
    return {
        "RouteTableId": table, "VpcId": vpc.id, "OwnerId": call.project_id, "Routes": routes, "Associations": [main],
        "PropagatingVgws": [],
    }  # fmt: skip


def _route(destination: str, origin: str, **target: str) -> dict[str, Any]:
    return {"DestinationCidrBlock": destination, "Origin": origin, "State": "active"} | target


async def create_route(call: Ec2Call) -> Result:
    params, vpc = call.params, await _vpc_of_table(call)
    destination = params.get("DestinationCidrBlock")
    if destination is None:
        raise MissingParameter(name="DestinationCidrBlock")
    if "GatewayId" in params:
        row = await _gateway(call, params["GatewayId"])
        if vpc.router is None or row.vpc_id != vpc.router["id"]:
            raise coded(
                "InvalidParameterValue", f"route table and gateway {params['GatewayId']} are of different networks"
            )
        if destination != EVERYWHERE:
            raise coded("UnsupportedOperation", f"An internet gateway is the way to {EVERYWHERE} alone.")
        if vpc.routed:
            raise coded("RouteAlreadyExists", f"The route identified by {destination} already exists.")
        await _set_way_out(call, vpc, await external_network(call))
        return {"Return": True}
    body = {"router": {"routes": [{"destination": destination, "nexthop": await _next_hop(call)}]}}
    with refused(BadRequest="InvalidParameterValue", Conflict="RouteAlreadyExists"):
        await call.network.put(f"/routers/{(vpc.router or {})['id']}/add_extraroutes", body)
    return {"Return": True}


async def delete_route(call: Ec2Call) -> Result:
    vpc, destination = await _vpc_of_table(call), call.params.get("DestinationCidrBlock", "")
    router = vpc.router or {}
    if destination == EVERYWHERE and vpc.routed:
        await _set_way_out(call, vpc, None)
        return {}
    gone = [each for each in router["routes"] if each["destination"] == destination]
    if not gone:
        raise coded("InvalidRoute.NotFound", f"no route with destination-cidr-block {destination[:50]} in route table")
    await call.network.put(f"/routers/{router['id']}/remove_extraroutes", {"router": {"routes": gone}})
    return {}


async def _vpc_of_table(call: Ec2Call) -> Vpc:
    table = call.params["RouteTableId"]
    uuid = ROUTE_TABLE.uuid(table)
    for vpc in (await Networks.of(call)).vpcs:
        if vpc.router is not None and vpc.router["id"] == uuid:
            return vpc
    raise ROUTE_TABLE.not_found(table)


async def _next_hop(call: Ec2Call) -> str:
    if "NetworkInterfaceId" in call.params:
        query = f"id={INTERFACE.uuid(call.params['NetworkInterfaceId'])}"
    elif "InstanceId" in call.params:
        query = f"device_id={INSTANCE.uuid(call.params['InstanceId'])}"
    else:
        raise MissingParameter(name="GatewayId, InstanceId or NetworkInterfaceId")
    ports = await call.network.all(f"/ports?{query}", "ports")
    if not ports or not ports[0]["fixed_ips"]:
        raise coded("InvalidNetworkInterfaceID.NotFound", "There is no such network interface with an address.")
    return str(ports[0]["fixed_ips"][0]["ip_address"])


ACTIONS = {
    "CreateInternetGateway": create_internet_gateway,
    "DescribeInternetGateways": describe_internet_gateways,
    "DeleteInternetGateway": delete_internet_gateway,
    "AttachInternetGateway": attach_internet_gateway,
    "DetachInternetGateway": detach_internet_gateway,
    "DescribeRouteTables": describe_route_tables,
    "CreateRoute": create_route,
    "DeleteRoute": delete_route,
}
