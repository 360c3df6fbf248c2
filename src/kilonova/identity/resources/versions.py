"""Which versions there are. Asked before any login, so it never needs a token."""

from __future__ import annotations

from typing import Any

from kilonova.core.web.call import Call, Reply

MEDIA = "application/vnd.openstack.identity-{}+json"


def _version(call: Call, number: str, path: str, status: str, updated: str) -> dict[str, Any]:
    return {
        "id": number,
        "status": status,
        "updated": updated,
        "links": [{"rel": "self", "href": f"{call.base_url}{path}/"}],
        "media-types": [{"base": "application/json", "type": MEDIA.format(path[1:])}],
    }


def _v3(call: Call) -> dict[str, Any]:
    return _version(call, "v3.14", "/v3", "stable", "2020-04-07T00:00:00Z")


def _v2(call: Call) -> dict[str, Any]:
    return _version(call, "v2.0", "/v2.0", "deprecated", "2016-08-04T00:00:00Z")


async def versions(call: Call) -> Reply:
    body = {"versions": {"values": [_v3(call), _v2(call)]}}
    return Reply(body, headers={"Location": f"{call.base_url}/v3/", "Vary": "X-Auth-Token"})


async def v3(call: Call) -> Reply:
    return Reply({"version": _v3(call)}, headers={"Vary": "X-Auth-Token"})


async def v2(call: Call) -> Reply:
    return Reply({"version": _v2(call)}, headers={"Vary": "X-Auth-Token"})
