"""Microversion negotiation, by `OpenStack-API-Version: TYPE N.M` or a service's older header."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from kilonova.core import errors
from kilonova.core.web.wire import Version

HEADER = "openstack-api-version"


class VersionNotAcceptable(errors.NotAcceptable):
    template = "Version {asked} is not supported by the API. Minimum is {low} and maximum is {high}."


class InvalidVersionText(errors.BadRequest):
    template = "API Version String {asked} is of invalid format. Must be of format MajorNum.MinorNum."


class Microversions(msgspec.Struct, frozen=True):
    """A service's range; `low` is what a client gets that doesn't ask."""

    service_type: str
    low: Version
    high: Version
    legacy_header: str | None = None

    def negotiate(self, headers: Mapping[str, str]) -> Version:
        """The version this request is to be answered in; raises a 400 or 406."""
        asked = self._asked(headers)
        if asked is None:
            return self.low
        if asked == "latest":
            return self.high
        try:
            version = Version.parse(asked)
        except ValueError:
            raise InvalidVersionText(asked=asked) from None
        if not self.low <= version <= self.high:
            raise VersionNotAcceptable(asked=asked, low=self.low, high=self.high)
        return version

    def _asked(self, headers: Mapping[str, str]) -> str | None:
        for part in headers.get(HEADER, "").split(","):
            words = part.split()
            if len(words) == 2 and words[0].lower() == self.service_type:
                return words[1].lower()
        if self.legacy_header is not None and (text := headers.get(self.legacy_header.lower())):
            return text.strip().lower()
        return None

    def reply_headers(self, version: Version) -> dict[str, str]:
        headers = {"OpenStack-API-Version": f"{self.service_type} {version}"}
        names = ["OpenStack-API-Version"]
        if self.legacy_header:
            headers[self.legacy_header] = str(version)
            names.append(self.legacy_header)
        return headers | {"Vary": ", ".join(names)}
