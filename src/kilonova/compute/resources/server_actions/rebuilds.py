"""Rebuilding over HTTP: the one action that answers with the whole server."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from msgspec import UNSET, UnsetType

from kilonova.compute.resources.base import R
from kilonova.compute.resources.server_actions.rebuilding import RebuildLogic, RebuildWish
from kilonova.compute.resources.server_actions.schemas import Rebuild
from kilonova.compute.resources.servers.launch.body import address, file_of, user_data_of
from kilonova.compute.resources.servers.logic import ServerLogic
from kilonova.compute.resources.servers.view_schemas import RebuiltBody, RebuiltView
from kilonova.compute.resources.servers.views import ServerViews
from kilonova.compute.store.servers import ServerRow
from kilonova.compute.web.fields import truth
from kilonova.compute.web.links import root
from kilonova.compute.web.query import at_least
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.wire import present

SAME = ("name", "description", "metadata", "disk_config", "hostname", "trusted_image_certificates")
"""Fields of the request that are columns."""


class Rebuilds:
    def __init__(self, servers: ServerLogic, logic: RebuildLogic) -> None:
        self.servers, self.logic = servers, logic

    async def rebuild(self, call: Call, row: ServerRow, asked: Rebuild) -> Reply:
        if not isinstance(asked.trusted_image_certificates, UnsetType):
            target = {"project_id": row.project_id, "user_id": row.user_id}
            call.authorize(target, f"{R}:servers:rebuild:trusted_certs")
        wish = RebuildWish(
            image_id=str(UUID(asked.image_ref)),
            admin_pass=present(asked.admin_pass, None) or self.logic.actions.password(),
            values=_values(asked),
            personality=None if isinstance(asked.personality, UnsetType) else [file_of(f) for f in asked.personality],
            key_name=asked.key_name,
            preserve_ephemeral=truth(asked.preserve_ephemeral),
        )
        await self.logic.rebuild(call.ctx, row, wish)
        return await self._shown(call, row.uuid, wish.admin_pass)

    async def _shown(self, call: Call, server_id: str, password: str) -> Reply:
        view = ServerViews(call, instance_name=self.servers.options.instance_name_template)
        row, extras = await self.servers.one(call.ctx, server_id, with_host_status=view.host_status)
        shown = view.detail(row, extras, full=at_least(call, "2.75"))
        fields: dict[str, Any] = {name: getattr(shown, name) for name in shown.__struct_fields__}
        if at_least(call, "2.54"):
            fields["key_name"] = row.key_name
        fields["user_data"] = UNSET  # as upstream, it is there by its other name alone
        answer = RebuiltView(**fields, new_user_data=row.user_data)
        if self.servers.options.enable_instance_password:
            answer.admin_pass = password
        location = f"{call.base_url}{root(call)}/servers/{server_id}"
        return Reply(RebuiltBody(server=answer), headers={"Location": location})


def _values(asked: Rebuild) -> dict[str, Any]:
    """The columns that change."""
    values = {name: given for name in SAME if not isinstance(given := getattr(asked, name), UnsetType)}
    if not isinstance(asked.hostname_label, UnsetType):
        values["hostname"] = asked.hostname_label
    if not isinstance(asked.user_data, UnsetType):
        values["user_data"] = user_data_of(asked.user_data)
    for version, given in ((4, asked.access_ip_v4), (6, asked.access_ip_v6)):
        if not isinstance(given, UnsetType):
            values[f"access_ip_v{version}"] = address(given, version)
    return values
