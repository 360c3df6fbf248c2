"""The calls that compute makes to the image, network and identity services, as protocols: their clients implement them, and so do
the stubs of tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from kilonova.core.context import RequestContext
from kilonova.image.client import ImageRecord
from kilonova.network.client import (
    FloatingIPRecord,
    NetworkRecord,
    PortRecord,
    PortRequest,
    SecurityGroupRecord,
    SecurityGroupRuleRecord,
    SubnetRecord,
)


class ImageReader(Protocol):
    """The part of ImageClient that the API uses."""

    async def get(self, ctx: RequestContext | None, image_id: str) -> ImageRecord:
        """As the caller may see it; raises NotFound."""


class ImageAccess(ImageReader, Protocol):
    """What actions do with images beside it."""

    async def create(
        self, ctx: RequestContext | None, properties: dict[str, str], **attributes: Any
    ) -> ImageRecord: ...
    async def share(self, ctx: RequestContext | None, image_id: str, project_id: str) -> None: ...
    async def delete(self, ctx: RequestContext | None, image_id: str) -> None: ...
    async def upload(
        self, ctx: RequestContext | None, image_id: str, data: bytes, *, size: int | None = None
    ) -> None: ...


class ImageCatalog(ImageAccess, Protocol):
    """What images are to those who look through them."""

    async def list(
        self, ctx: RequestContext | None, most: int | None = None, /, **filters: str
    ) -> list[ImageRecord]: ...
    async def set_properties(
        self, ctx: RequestContext | None, image_id: str, changes: Mapping[str, str], remove: Iterable[str] = ()
    ) -> ImageRecord: ...


class ProjectReader(Protocol):
    """The part of IdentityClient that the API uses."""

    async def project(self, project_id: str, *, ctx: RequestContext | None = None) -> object:
        """As the caller may see it; raises NotFound."""


class NetworkAccess(Protocol):
    """The part of NetworkClient that the API uses."""

    async def networks(self, ctx: RequestContext | None = None, **filters: Any) -> list[NetworkRecord]: ...
    async def auto_allocated(self, project_id: str, ctx: RequestContext | None = None) -> str: ...
    async def subnets(self, ctx: RequestContext | None = None, **filters: Any) -> list[SubnetRecord]: ...
    async def ports(self, ctx: RequestContext | None = None, **filters: Any) -> list[PortRecord]: ...
    async def floating_ips(self, ctx: RequestContext | None = None, **filters: Any) -> list[FloatingIPRecord]: ...
    async def create_floating_ip(
        self, values: dict[str, Any], ctx: RequestContext | None = None
    ) -> FloatingIPRecord: ...
    async def update_floating_ip(
        self, floating_ip_id: str, changes: dict[str, Any], ctx: RequestContext | None = None
    ) -> FloatingIPRecord: ...
    async def delete_floating_ip(self, floating_ip_id: str, ctx: RequestContext | None = None) -> None: ...
    async def security_groups(self, ctx: RequestContext | None = None, **filters: Any) -> list[SecurityGroupRecord]: ...
    async def security_group(self, group_id: str, ctx: RequestContext | None = None) -> SecurityGroupRecord: ...
    async def create_security_group(
        self, values: dict[str, Any], ctx: RequestContext | None = None
    ) -> SecurityGroupRecord: ...
    async def update_security_group(
        self, group_id: str, values: dict[str, Any], ctx: RequestContext | None = None
    ) -> SecurityGroupRecord: ...
    async def delete_security_group(self, group_id: str, ctx: RequestContext | None = None) -> None: ...
    async def create_security_group_rule(
        self, values: dict[str, Any], ctx: RequestContext | None = None
    ) -> SecurityGroupRuleRecord: ...
    async def delete_security_group_rule(self, rule_id: str, ctx: RequestContext | None = None) -> None: ...
    async def update_port(
        self, port_id: str, changes: dict[str, Any], ctx: RequestContext | None = None, *, own: bool = True
    ) -> PortRecord: ...
    async def create_ports(
        self, requests: list[PortRequest], ctx: RequestContext | None = None, *, own: bool = True
    ) -> list[PortRecord]: ...
    async def bind_port(
        self, port_id: str, host: str, *, device_id: str, device_owner: str = "compute:nova", **more: Any
    ) -> PortRecord: ...
    async def unbind_port(self, port_id: str) -> None: ...
    async def delete_ports(self, port_ids: Iterable[str], ctx: RequestContext | None = None) -> None: ...
