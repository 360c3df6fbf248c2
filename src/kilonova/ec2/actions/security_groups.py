"""Security groups and their rules, which are the network service's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from kilonova.core import errors as core_errors
from kilonova.ec2.call import Ec2Call, Result, refused
from kilonova.ec2.errors import InvalidParameterValue, MissingParameter, coded
from kilonova.ec2.filters import at, filtered
from kilonova.ec2.ids import GROUP, RULE, VPC
from kilonova.ec2.paging import paged
from kilonova.ec2.tags import Tags, forget, write_specified

PROTOCOLS = {"1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6", "-1": None, "all": None}
FILTERS = {
    "group-id": at("GroupId"), "group-name": at("GroupName"), "description": at("Description"), "owner-id": at("OwnerId"),
    "vpc-id": at("VpcId"), "ip-permission.cidr": at("IpPermissions", "IpRanges", "CidrIp"),
    "ip-permission.from-port": at("IpPermissions", "FromPort"), "ip-permission.to-port": at("IpPermissions", "ToPort"),
    "ip-permission.protocol": at("IpPermissions", "IpProtocol"),
    "ip-permission.group-id": at("IpPermissions", "UserIdGroupPairs", "GroupId"),
    "egress.ip-permission.cidr": at("IpPermissionsEgress", "IpRanges", "CidrIp"),
    "egress.ip-permission.protocol": at("IpPermissionsEgress", "IpProtocol"),
}  # fmt: skip
RULE_FILTERS = {"group-id": at("GroupId"), "security-group-rule-id": at("SecurityGroupRuleId")}
PATH = "/security-groups"
RULES = "/security-group-rules"
VPC_MARK = "ec2-vpc="
"""A group's tag in the network service that says of which VPC it is; others are of all that the project has."""


async def create_security_group(call: Ec2Call) -> Result:
    name, description = call.params["GroupName"], call.params["Description"]
    if not name or len(name) > 255 or name.startswith("sg-"):
        raise InvalidParameterValue(name="groupName", value=name[:260], reason="Names do not begin with sg-.")
    mine = await groups(call)
    if any(group["name"] == name and vpc_of(group) in (call.params.get("VpcId"), None) for group in mine):
        raise coded("InvalidGroup.Duplicate", f"The security group '{name}' already exists")
    vpc = call.params.get("VpcId")
    if vpc is not None:
        with refused(NotFound="InvalidVpcID.NotFound"):
            await call.network.get(f"/routers/{VPC.uuid(vpc)}")
    body = {"security_group": {"name": name, "description": description}}
    with refused(Conflict="SecurityGroupLimitExceeded", BadRequest="InvalidParameterValue"):
        made = (await call.network.post(PATH, body))["security_group"]
    if vpc is not None:
        await call.network.put(f"{PATH}/{made['id']}/tags/{VPC_MARK}{vpc}", None)
    await _without_ipv6(call, made)
    group = GROUP.id(made["id"])
    await write_specified(call, {"security-group": [group]})
    return {"GroupId": group}


async def _without_ipv6(call: Ec2Call, made: dict[str, Any]) -> None:
    """A new group lets all IPv4 out, as Amazon's; clients that compare would see the IPv6 rule as one they did not make."""
    for rule in made["security_group_rules"]:
        if rule["ethertype"] == "IPv6" and rule["direction"] == "egress":
            await call.network.delete(f"{RULES}/{rule['id']}")


async def describe_security_groups(call: Ec2Call) -> Result:
    params, tags = call.params, await Tags.of(call)
    found = await groups(call)
    names = {group["id"]: group["name"] for group in found}
    vpcs = [each["Values"] for each in params.get("Filters", ()) if each.get("Name") == "vpc-id"]
    vpc = vpcs[0][0] if vpcs and vpcs[0] else None  # groups that are of no VPC are of the one that is asked for
    shown = [tags.on(_view(group, names, vpc), "GroupId") for group in found]
    ids, wanted = params.get("GroupIds", ()), params.get("GroupNames", ())
    known = {item["GroupId"] for item in shown}
    for each in ids:
        if each not in known:
            GROUP.uuid(each)
            raise coded("InvalidGroup.NotFound", f"The security group '{each[:100]}' does not exist")
    if missing := sorted(set(wanted) - {item["GroupName"] for item in shown}):
        raise coded("InvalidGroup.NotFound", f"The security group '{missing[0][:100]}' does not exist")
    shown = [item for item in shown if not (ids or wanted) or item["GroupId"] in ids or item["GroupName"] in wanted]
    page, token = paged(filtered(shown, params.get("Filters"), FILTERS), params)
    return {"SecurityGroups": page, "NextToken": token}


async def delete_security_group(call: Ec2Call) -> Result:
    group = await group_of(call, call.params)
    with refused(Conflict="DependencyViolation", NotFound="InvalidGroup.NotFound"):
        await call.network.delete(f"{PATH}/{group['id']}")
    await forget(call, GROUP.id(group["id"]))
    return {"Return": True, "GroupId": GROUP.id(group["id"])}


async def groups(call: Ec2Call) -> list[dict[str, Any]]:
    """The project's own."""
    return await call.network.all(f"{PATH}?project_id={call.project_id}", "security_groups")


async def group_of(call: Ec2Call, params: dict[str, Any]) -> dict[str, Any]:
    """The one that `GroupId` or `GroupName` names."""
    if "GroupId" in params:
        with refused(NotFound="InvalidGroup.NotFound"):
            found = await call.network.get(f"{PATH}/{GROUP.uuid(params['GroupId'])}")
            return dict(found["security_group"])
    name = params.get("GroupName")
    if name is None:
        raise MissingParameter(name="GroupId")
    named = [group for group in await groups(call) if group["name"] == name]
    if not named:
        raise coded("InvalidGroup.NotFound", f"The security group '{name[:100]}' does not exist")
    return named[0]


def vpc_of(group: dict[str, Any]) -> str | None:
    marks = [tag.removeprefix(VPC_MARK) for tag in group["tags"] if tag.startswith(VPC_MARK)]
    return marks[0] if marks else None


# ---- rules


def authorize(direction: str) -> Any:
    async def action(call: Ec2Call) -> Result:
        group = await group_of(call, call.params)
        wanted = [rule for each in _permissions(call.params) for rule in _rules(each, direction)]
        bodies = [rule | {"security_group_id": group["id"]} for rule in wanted]
        try:
            made = (await call.network.post(RULES, {"security_group_rules": bodies}))["security_group_rules"]
        except core_errors.Conflict as error:
            full = "quota" in error.message.lower()
            raise coded(
                "RulesPerSecurityGroupLimitExceeded" if full else "InvalidPermission.Duplicate", error.message
            ) from None
        except core_errors.NotFound as error:
            raise coded("InvalidGroup.NotFound", error.message) from None
        except core_errors.BadRequest as error:
            raise coded("InvalidParameterValue", error.message) from None
        await write_specified(call, {"security-group-rule": [RULE.id(rule["id"]) for rule in made]})
        return {"Return": True, "SecurityGroupRules": [_rule_view(rule, await Tags.of(call)) for rule in made]}

    return action


def revoke(direction: str) -> Any:
    async def action(call: Ec2Call) -> Result:
        group = await group_of(call, call.params)
        held = [rule for rule in group["security_group_rules"] if rule["direction"] == direction]
        if ids := call.params.get("SecurityGroupRuleIds"):
            gone = [rule for rule in held if RULE.id(rule["id"]) in ids]
            if len(gone) < len(set(ids)):
                raise coded("InvalidSecurityGroupRuleId.NotFound", "The security group rule does not exist")
        else:
            gone = [_same(held, rule) for each in _permissions(call.params) for rule in _rules(each, direction)]
        for rule in gone:
            with refused(NotFound="InvalidPermission.NotFound"):
                await call.network.delete(f"{RULES}/{rule['id']}")
            await forget(call, RULE.id(rule["id"]))
        return {"Return": True}

    return action


def _same(held: list[dict[str, Any]], rule: dict[str, Any]) -> dict[str, Any]:
    keys = ("ethertype", "protocol", "port_range_min", "port_range_max", "remote_ip_prefix", "remote_group_id")
    for each in held:
        theirs = {key: each.get(key) for key in keys}
        if theirs["remote_ip_prefix"] is None and theirs["remote_group_id"] is None:
            theirs["remote_ip_prefix"] = _anywhere(each["ethertype"])
        if theirs == {key: rule.get(key) for key in keys}:
            return each
    raise coded("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")


def _permissions(params: dict[str, Any]) -> list[dict[str, Any]]:
    """The old clients name one permission by the request's own parameters."""
    if given := params.get("IpPermissions"):
        return list(given)
    if "IpProtocol" not in params:
        raise MissingParameter(name="IpPermissions")
    one: dict[str, Any] = {key: params[key] for key in ("IpProtocol", "FromPort", "ToPort") if key in params}
    if "CidrIp" in params:
        one["IpRanges"] = [{"CidrIp": params["CidrIp"]}]
    if "SourceSecurityGroupName" in params:
        one["UserIdGroupPairs"] = [{"GroupName": params["SourceSecurityGroupName"]}]
    return [one]


def _rules(permission: dict[str, Any], direction: str) -> Iterator[dict[str, Any]]:
    given = str(permission.get("IpProtocol", "-1")).lower()
    protocol = PROTOCOLS.get(given, given)
    low, high = permission.get("FromPort"), permission.get("ToPort")
    ports = (None, None) if protocol is None or (low, high) in ((-1, -1), (None, None)) else (low, high)
    if protocol in ("icmp", "icmpv6"):
        ports = (None if ports[0] == -1 else ports[0], None if ports[1] == -1 else ports[1])
    one: dict[str, Any] = {
        "direction": direction, "protocol": protocol, "port_range_min": ports[0], "port_range_max": ports[1], "ethertype": "IPv4",
    }  # fmt: skip
    found = False
    for kind, name, key in (("IPv4", "IpRanges", "CidrIp"), ("IPv6", "Ipv6Ranges", "CidrIpv6")):
        for each in permission.get(name, ()):
            found = True
            yield one | {
                "ethertype": kind,
                "remote_ip_prefix": each.get(key),
                "description": each.get("Description", ""),
            }
    for each in permission.get("UserIdGroupPairs", ()):
        found = True
        if "GroupId" not in each:
            raise MissingParameter(name="UserIdGroupPairs.GroupId")
        yield one | {"remote_group_id": GROUP.uuid(each["GroupId"]), "description": each.get("Description", "")}
    if not found:
        raise MissingParameter(name="IpRanges, Ipv6Ranges or UserIdGroupPairs")


async def describe_security_group_rules(call: Ec2Call) -> Result:
    tags, ids = await Tags.of(call), call.params.get("SecurityGroupRuleIds", ())
    shown = [_rule_view(rule, tags) for group in await groups(call) for rule in group["security_group_rules"]]
    if missing := sorted(set(ids) - {item["SecurityGroupRuleId"] for item in shown}):
        RULE.uuid(missing[0])
        raise RULE.not_found(missing[0])
    shown = [item for item in shown if not ids or item["SecurityGroupRuleId"] in ids]
    page, token = paged(filtered(shown, call.params.get("Filters"), RULE_FILTERS), call.params)
    return {"SecurityGroupRules": page, "NextToken": token}


# ---- views


def _view(group: dict[str, Any], names: dict[str, str], vpc: str | None = None) -> dict[str, Any]:
    by: dict[str, list[dict[str, Any]]] = {"ingress": [], "egress": []}
    for rule in group["security_group_rules"]:
        by[rule["direction"]].append(rule)
    owner = group["project_id"]
    return {
        "GroupId": GROUP.id(group["id"]), "GroupName": group["name"], "Description": group["description"], "OwnerId": owner,
        "VpcId": vpc_of(group) or vpc or VPC.id(owner),
        "IpPermissions": _grouped(by["ingress"], names, owner), "IpPermissionsEgress": _grouped(by["egress"], names, owner),
    }  # fmt: skip


def _grouped(rules: list[dict[str, Any]], names: dict[str, str], owner: str) -> list[dict[str, Any]]:
    """One permission for each protocol and range of ports, with all that it lets through."""
    found: defaultdict[tuple[Any, ...], dict[str, list[Any]]] = defaultdict(
        lambda: {"IpRanges": [], "Ipv6Ranges": [], "UserIdGroupPairs": [], "PrefixListIds": []}
    )
    for rule in rules:
        place = found[(rule["protocol"], rule["port_range_min"], rule["port_range_max"])]
        said = {"Description": rule["description"]} if rule["description"] else {}
        if rule["remote_group_id"]:
            remote = rule["remote_group_id"]
            place["UserIdGroupPairs"].append({"GroupId": GROUP.id(remote), "UserId": owner} | said)
        elif rule["ethertype"] == "IPv4":
            place["IpRanges"].append({"CidrIp": rule["remote_ip_prefix"] or _anywhere("IPv4")} | said)
        else:
            place["Ipv6Ranges"].append({"CidrIpv6": rule["remote_ip_prefix"] or _anywhere("IPv6")} | said)
    return [_ports(*key) | place for key, place in found.items()]


def _ports(protocol: str | None, low: int | None, high: int | None) -> dict[str, Any]:
    view: dict[str, Any] = {"IpProtocol": {"ipv6-icmp": "icmpv6", None: "-1"}.get(protocol, protocol)}
    if protocol is None:
        return view
    none = -1 if "icmp" in protocol else None
    low, high = (
        (0, 65535) if low is high is none is None else (none if low is None else low, none if high is None else high)
    )
    return view | {"FromPort": low, "ToPort": high}


def _rule_view(rule: dict[str, Any], tags: Tags) -> dict[str, Any]:
    view = {
        "SecurityGroupRuleId": RULE.id(rule["id"]), "GroupId": GROUP.id(rule["security_group_id"]),
        "GroupOwnerId": rule["project_id"], "IsEgress": rule["direction"] == "egress", "Description": rule["description"] or None,
    } | _ports(rule["protocol"], rule["port_range_min"], rule["port_range_max"])  # fmt: skip
    if rule["remote_group_id"]:
        view["ReferencedGroupInfo"] = {"GroupId": GROUP.id(rule["remote_group_id"]), "UserId": rule["project_id"]}
    else:
        key = "CidrIpv4" if rule["ethertype"] == "IPv4" else "CidrIpv6"
        view[key] = rule["remote_ip_prefix"] or _anywhere(rule["ethertype"])
    return tags.on(view, "SecurityGroupRuleId")


def _anywhere(ethertype: str) -> str:
    return "0.0.0.0/0" if ethertype == "IPv4" else "::/0"


ACTIONS = {
    "CreateSecurityGroup": create_security_group,
    "DescribeSecurityGroups": describe_security_groups,
    "DeleteSecurityGroup": delete_security_group,
    "AuthorizeSecurityGroupIngress": authorize("ingress"),
    "AuthorizeSecurityGroupEgress": authorize("egress"),
    "RevokeSecurityGroupIngress": revoke("ingress"),
    "RevokeSecurityGroupEgress": revoke("egress"),
    "DescribeSecurityGroupRules": describe_security_group_rules,
}
