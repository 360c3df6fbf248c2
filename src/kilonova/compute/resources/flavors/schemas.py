"""Wire shapes of flavors."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from kilonova.compute.web.fields import (
    Boolean,
    Description,
    Link,
    Name,
    Number,
    Positive,
    matching,
)
from kilonova.core.web.wire import Body, View, versions

NAMES = {
    "ephemeral": "OS-FLV-EXT-DATA:ephemeral",
    "disabled": "OS-FLV-DISABLED:disabled",
    "is_public": "os-flavor-access:is_public",
}
FlavorId = Annotated[
    str,
    matching(
        r"\A(?! )[a-zA-Z0-9. _\-]+(?<! )\Z",
        "letters, digits, inner spaces and any of . _ -",
        min_length=1,
        max_length=255,
    ),
]
Factor = (
    Annotated[str, matching(r"\A[0-9]*\.?[0-9]+\Z", "a number", max_length=20)]
    | Annotated[float, Meta(gt=0, lt=3.4e38)]
)


class FlavorIn(Body, kw_only=True, rename=NAMES):
    name: Name
    ram: Positive
    vcpus: Positive
    disk: Number
    id: FlavorId | int | None = None
    ephemeral: Number = 0
    swap: Number = 0
    rxtx_factor: Annotated[Factor, versions("2.1", "2.101")] = 1.0
    is_public: Boolean = True
    description: Annotated[Description | UnsetType | None, versions("2.55")] = UNSET


class FlavorCreate(Body, kw_only=True):
    flavor: FlavorIn


class FlavorDescription(Body, kw_only=True):
    description: Description | None


class FlavorUpdate(Body, kw_only=True):
    flavor: FlavorDescription


class FlavorBrief(View, kw_only=True):
    id: str
    name: str
    links: list[Link]
    description: Annotated[str | None, versions("2.55")] = None


class Flavor(View, kw_only=True, rename=NAMES):
    id: str
    name: str
    ram: int
    disk: int
    swap_text: Annotated[int | str, versions("2.1", "2.74", name="swap")]
    swap: Annotated[int, versions("2.75")]
    ephemeral: int
    disabled: Annotated[bool, versions("2.1", "2.101")]
    vcpus: int
    is_public: bool
    rxtx_factor: Annotated[float, versions("2.1", "2.101")]
    links: list[Link]
    description: Annotated[str | None, versions("2.55")] = None
    extra_specs: Annotated[dict[str, str] | UnsetType, versions("2.61")] = UNSET


class FlavorBody(View, kw_only=True):
    flavor: Flavor


class Flavors(View, kw_only=True):
    flavors: list[Flavor]
    flavors_links: list[Link] | UnsetType = UNSET


class FlavorBriefs(View, kw_only=True):
    flavors: list[FlavorBrief]
    flavors_links: list[Link] | UnsetType = UNSET
