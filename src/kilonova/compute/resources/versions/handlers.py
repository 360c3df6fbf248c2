"""The versions of the compute API."""

from __future__ import annotations

from typing import Any

from kilonova.compute.web.legacy_urls import CURRENT
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.microversion import Microversions

MEDIA = "application/vnd.openstack.compute+json;version="


class Versions:
    def __init__(self, microversions: Microversions) -> None:
        self.microversions = microversions

    def _brief(self, call: Call, version: str) -> dict[str, Any]:
        current = version == "v2.1"
        return {
            "id": "v2.1" if current else "v2.0",
            "status": "CURRENT" if current else "SUPPORTED",
            "version": str(self.microversions.high) if current else "",
            "min_version": str(self.microversions.low) if current else "",
            "updated": "2013-07-23T11:33:21Z" if current else "2011-01-21T11:33:21Z",
            "links": [{"rel": "self", "href": f"{call.base_url}{CURRENT if current else '/v2'}/"}],
        }

    def _full(self, call: Call, version: str) -> dict[str, Any]:
        brief = self._brief(call, version)
        describedby = {"rel": "describedby", "type": "text/html", "href": "http://docs.openstack.org/"}
        media = {"base": "application/json", "type": MEDIA + ("2.1" if version == "v2.1" else "2")}
        return brief | {"links": [*brief["links"], describedby], "media-types": [media]}

    async def list(self, call: Call) -> Reply:
        return Reply({"versions": [self._brief(call, "v2.0"), self._brief(call, "v2.1")]})

    async def current(self, call: Call) -> Reply:
        return Reply({"version": self._full(call, "v2.1")})

    async def legacy(self, call: Call) -> Reply:
        return Reply({"version": self._full(call, "v2.0")})
