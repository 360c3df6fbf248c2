"""Servers over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import UNSET, UnsetType

from kilonova.compute.options import ComputeOptions
from kilonova.compute.resources.server_actions.logic import ActionLogic
from kilonova.compute.resources.servers import schemas as shapes
from kilonova.compute.resources.servers import view_schemas as views
from kilonova.compute.resources.servers.launch.body import address, to_launch
from kilonova.compute.resources.servers.launch.logic import LaunchLogic
from kilonova.compute.resources.servers.logic import ServerLogic
from kilonova.compute.resources.servers.policies import RULE
from kilonova.compute.resources.servers.query import read_filter, read_sorts
from kilonova.compute.resources.servers.view_cache import ServerViewCache
from kilonova.compute.resources.servers.views import ServerViews
from kilonova.compute.store.servers import ServerKey, ServerRow
from kilonova.compute.web.fields import truth
from kilonova.compute.web.links import links, next_page, root
from kilonova.compute.web.query import at_least
from kilonova.core.clock import Clock
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.paging import read_page


class Servers:
    def __init__(
        self, servers: ServerLogic, launches: LaunchLogic, actions: ActionLogic, clock: Clock, options: ComputeOptions
    ) -> None:
        self.servers, self.launches, self.actions, self.clock, self.options = servers, launches, actions, clock, options
        self.view_cache = ServerViewCache()

    async def create(self, call: Call) -> Reply:
        body = await call.decode(shapes.ServerCreate)
        wanted = to_launch(
            call, body, clock=self.clock, password_length=self.options.password_length,
            most=self.options.max_servers_per_request,
        )  # fmt: skip
        done = await self.launches.launch(call.ctx, wanted, call.times)
        if truth(body.server.return_reservation_id):
            return Reply(views.Reservation(reservation_id=done.reservation_id))
        first = done.ids[0]
        groups = wanted.security_groups if wanted.security_groups is not None else ["default"]
        view = views.Created(
            id=first,
            links=links(call, "servers", first),
            disk_config=wanted.disk_config,
            security_groups=[views.GroupName(name=name) for name in groups],
            admin_pass=wanted.admin_pass if self.options.enable_instance_password else UNSET,
        )
        location = f"{call.base_url}{root(call)}/servers/{first}"
        return Reply(views.CreatedBody(server=view), headers={"Location": location})

    async def list(self, call: Call) -> Reply:
        page, wanted = read_page(call, maximum=self.options.page_size), read_filter(call, f"{RULE}:index")
        rows: Sequence[ServerKey] = ()
        if wanted is not None and page.asked != 0:
            rows = await self.servers.brief(wanted, limit=page.limit, marker=page.marker, sorts=read_sorts(call))
        view = ServerViews(call, instance_name=self.options.instance_name_template)
        more = next_page(call, "/servers", page, rows, rows[-1].uuid if rows else None)
        return Reply(views.Briefs(servers=[view.brief(row) for row in rows], servers_links=more))

    async def detail(self, call: Call) -> Reply:
        page, wanted = read_page(call, maximum=self.options.page_size), read_filter(call, f"{RULE}:detail")
        if wanted is None or page.asked == 0:
            return Reply(views.ServerDetails(servers=[]))
        view = ServerViews(call, instance_name=self.options.instance_name_template)
        rows, extras = await self.servers.detailed(
            wanted, limit=page.limit, marker=page.marker, sorts=read_sorts(call), with_spec=view.needs_spec,
            with_user_data=view.attributes and at_least(call, "2.3"), with_host_status=view.host_status,
        )  # fmt: skip
        more = next_page(call, "/servers/detail", page, rows, rows[-1].uuid if rows else None)
        shown = self.view_cache.all_shown(view, rows, extras)
        return Reply(views.ServerDetails(servers=shown, servers_links=more))

    async def show(self, call: Call, server_id: str) -> Reply:
        view = ServerViews(call, instance_name=self.options.instance_name_template)
        row, extras = await self.servers.one(call.ctx, server_id, with_host_status=view.host_status)
        call.authorize({"project_id": row.project_id, "user_id": row.user_id})
        return Reply(views.ServerBody(server=view.detail(row, extras)))

    async def update(self, call: Call, server_id: str) -> Reply:
        change = (await call.decode(shapes.ServerUpdate)).server
        row = await self.servers.get(call.ctx, server_id)
        call.authorize({"project_id": row.project_id, "user_id": row.user_id})
        await self.servers.edit(call.ctx, server_id, _values(change), change.pinned_availability_zone)
        view = ServerViews(call, instance_name=self.options.instance_name_template)
        row, extras = await self.servers.one(call.ctx, server_id, with_host_status=view.host_status)
        return Reply(views.ServerBody(server=view.detail(row, extras, full=at_least(call, "2.75"))))

    async def delete(self, call: Call, server_id: str) -> Reply:
        def may(row: ServerRow) -> None:
            call.authorize({"project_id": row.project_id, "user_id": row.user_id})

        await self.actions.delete(call.ctx, server_id, may=may)
        return Reply()


def _values(change: shapes.ServerChange) -> dict[str, Any]:
    """The columns that a change sets."""
    values: dict[str, Any] = {}
    for name in ("name", "description", "disk_config", "hostname"):
        if not isinstance(getattr(change, name), UnsetType):
            values[name] = getattr(change, name)
    if not isinstance(change.hostname_label, UnsetType):
        values["hostname"] = change.hostname_label
    if not isinstance(change.access_ip_v4, UnsetType):
        values["access_ip_v4"] = address(change.access_ip_v4, 4)
    if not isinstance(change.access_ip_v6, UnsetType):
        values["access_ip_v6"] = address(change.access_ip_v6, 6)
    return values
