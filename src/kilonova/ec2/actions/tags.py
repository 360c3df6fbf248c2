"""Tags of everything that has an id."""

from __future__ import annotations

from collections.abc import Sequence

from kilonova.ec2 import ids, tags
from kilonova.ec2.call import Ec2Call, Result, refused
from kilonova.ec2.errors import coded
from kilonova.ec2.filters import at, filtered
from kilonova.ec2.paging import paged

FILTERS = {
    "key": at("Key"), "value": at("Value"), "resource-id": at("ResourceId"), "resource-type": at("ResourceType"),
}  # fmt: skip
TYPES = {
    "i": "instance", "ami": "image", "vol": "volume", "snap": "snapshot", "vpc": "vpc", "subnet": "subnet",
    "sg": "security-group", "sgr": "security-group-rule", "igw": "internet-gateway", "rtb": "route-table",
    "eni": "network-interface", "eipalloc": "elastic-ip", "key": "key-pair",
}  # fmt: skip
PLACES = {
    "i": ("compute", "/servers/{}", ids.INSTANCE), "ami": ("image", "/images/{}", ids.IMAGE),
    "vpc": ("network", "/routers/{}", ids.VPC), "subnet": ("network", "/subnets/{}", ids.SUBNET),
    "sg": ("network", "/security-groups/{}", ids.GROUP), "eni": ("network", "/ports/{}", ids.INTERFACE),
    "eipalloc": ("network", "/floatingips/{}", ids.ALLOCATION), "sgr": ("network", "/security-group-rules/{}", ids.RULE),
    "rtb": ("network", "/routers/{}", ids.ROUTE_TABLE), "vol": ("volume", "/volumes/{}", ids.VOLUME),
    "snap": ("volume", "/snapshots/{}", ids.SNAPSHOT),
}  # fmt: skip


async def create_tags(call: Ec2Call) -> Result:
    resources, wanted = call.params["Resources"], tags.checked(call.params["Tags"])
    await _check(call, resources)
    await tags.write(call, resources, wanted)
    return {}


async def delete_tags(call: Ec2Call) -> Result:
    resources = call.params["Resources"]
    await _check(call, resources)
    await tags.erase(call, resources, {each["Key"]: each.get("Value") for each in call.params.get("Tags", ())})
    return {}


async def describe_tags(call: Ec2Call) -> Result:
    kept = (await tags.Tags.of(call)).found
    found = {
        ids.INSTANCE.id(each["id"]): tags.of_server(each)
        for each in await call.compute.all("/servers/detail", "servers")
    }
    shown = [
        {"ResourceId": resource, "ResourceType": TYPES.get(resource.partition("-")[0], "unknown")} | tag
        for resource, of_it in (found | dict(kept)).items()
        for tag in of_it
    ]
    page, token = paged(filtered(shown, call.params.get("Filters"), FILTERS), call.params)
    return {"Tags": page, "NextToken": token}


async def _check(call: Ec2Call, resources: Sequence[str]) -> None:
    """That they exist, and are the caller's to see."""
    for each in resources:
        prefix = each.partition("-")[0]
        if prefix not in TYPES:
            raise coded("InvalidID", f"The ID '{each[:100]}' is not valid")
        if prefix in PLACES:
            service, path, kind = PLACES[prefix]
            with refused(NotFound=f"{kind.code}.NotFound"):
                await getattr(call, service).get(path.format(kind.uuid(each)))


ACTIONS = {"CreateTags": create_tags, "DeleteTags": delete_tags, "DescribeTags": describe_tags}
