"""Hypervisors over HTTP. What is used is counted from the servers' claims, without the hosts' own reserve."""

from __future__ import annotations

import uuid
from typing import Any

import msgspec
from msgspec import UNSET

from kilonova.compute.errors import NotBuiltYet, UnknownMarker
from kilonova.compute.resources.hypervisors import errors
from kilonova.compute.resources.hypervisors import schemas as shapes
from kilonova.compute.resources.hypervisors.logic import HypervisorLogic, Node
from kilonova.compute.web.links import Links, next_page
from kilonova.compute.web.query import InvalidQuery, at_least, flag
from kilonova.core import errors as core_errors
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.paging import Page, read_page

LONGEST = 255  # characters of a hypervisor's name


Nodes = list[Node]


class Hypervisors:
    def __init__(self, logic: HypervisorLogic) -> None:
        self.logic = logic

    async def list(self, call: Call) -> Reply:
        nodes, more = await self._nodes(call, "/os-hypervisors")
        items = [shapes.HypervisorBrief(**_brief(call, node)) for node in nodes]
        return Reply(shapes.Hypervisors(hypervisors=items, hypervisors_links=more))

    async def detail(self, call: Call) -> Reply:
        nodes, more = await self._nodes(call, "/os-hypervisors/detail")
        items = [_detail(call, node) for node in nodes]
        return Reply(shapes.HypervisorDetails(hypervisors=items, hypervisors_links=more))

    async def _nodes(self, call: Call, path: str) -> tuple[Nodes, Links]:
        pattern = call.query.get("hypervisor_hostname_pattern") if at_least(call, "2.53") else None
        if pattern is not None:
            if "limit" in call.query or "marker" in call.query:
                raise core_errors.BadRequest(
                    "Paging over hypervisors with the hypervisor_hostname_pattern query parameter is not supported."
                )
            return await self._matching(pattern), UNSET
        page = read_page(call) if at_least(call, "2.33") else Page(10000, None, None)
        nodes = await self.logic.nodes()
        if page.marker is not None:
            ids = [_id(call, node) for node in nodes]
            if page.marker not in ids:
                raise UnknownMarker(marker=page.marker)
            nodes = nodes[ids.index(page.marker) + 1 :]
        nodes = nodes[: page.limit]
        more = next_page(call, path, page, nodes, _id(call, nodes[-1]) if nodes else None)
        return nodes, more

    async def _matching(self, pattern: str) -> Nodes:
        nodes = await self.logic.nodes(like=pattern) if len(pattern) <= LONGEST else []
        if not nodes:
            raise errors.NoHypervisorMatches(pattern=pattern)
        return nodes

    async def _one(self, call: Call, hypervisor_id: str) -> Node:
        if at_least(call, "2.53"):
            try:
                hypervisor_id = str(uuid.UUID(hypervisor_id))
            except ValueError:
                raise core_errors.BadRequest(f"Invalid uuid {hypervisor_id}") from None
        for node in await self.logic.nodes():
            if _id(call, node) == hypervisor_id:
                return node
        raise errors.HypervisorNotFound(hypervisor_id=hypervisor_id)

    async def show(self, call: Call, hypervisor_id: str) -> Reply:
        return Reply(shapes.HypervisorBody(hypervisor=_detail(call, await self._one(call, hypervisor_id))))

    async def uptime(self, call: Call, hypervisor_id: str) -> Reply:
        await self._one(call, hypervisor_id)
        raise NotBuiltYet(what="The uptime of a hypervisor")

    async def search(self, call: Call, pattern: str) -> Reply:
        nodes = await self._matching(pattern)
        return Reply(shapes.Hypervisors(hypervisors=[shapes.HypervisorBrief(**_brief(call, node)) for node in nodes]))

    async def servers(self, call: Call, pattern: str) -> Reply:
        items = []
        for node in await self._matching(pattern):
            view = shapes.HypervisorBrief(**_brief(call, node))
            if node.servers:
                view.servers = _servers(node)
            items.append(view)
        return Reply(shapes.Hypervisors(hypervisors=items))

    async def statistics(self, call: Call) -> Reply:
        total: dict[str, int] = {"count": 0}
        for node in await self.logic.nodes():
            total["count"] += 1
            for name, value in _numbers(node).items():
                total[name] = total.get(name, 0) + value
        return Reply(shapes.StatisticsBody(hypervisor_statistics=shapes.Statistics(**total)))


def _id(call: Call, node: Node) -> str:
    return str(node.row.uuid if at_least(call, "2.53") else node.row.id)


def _servers(node: Node) -> list[shapes.ServerBrief]:
    return [shapes.ServerBrief(uuid=server_id, name=name) for server_id, name in node.servers]


def _brief(call: Call, node: Node) -> dict[str, Any]:
    found = {
        "number": node.row.id, "uuid": node.row.uuid, "hypervisor_hostname": node.row.hypervisor_hostname,
        "state": "up" if node.up else "down", "status": "disabled" if node.service.disabled else "enabled",
    }  # fmt: skip
    text = call.query.get("with_servers") if at_least(call, "2.53") else None
    try:
        wanted = text is not None and flag(text)
    except ValueError:
        raise InvalidQuery(name="with_servers", value=text) from None
    if wanted and (node.servers or at_least(call, "2.75")):
        found["servers"] = _servers(node)
    return found


def _numbers(node: Node) -> dict[str, Any]:
    row, (_, cores, memory, disk) = node.row, node.used
    return {
        "vcpus": row.vcpus, "memory_mb": row.memory_mb, "local_gb": row.disk_gb, "vcpus_used": cores,
        "memory_mb_used": memory, "local_gb_used": disk, "free_ram_mb": row.memory_mb - memory,
        "free_disk_gb": row.disk_gb - disk, "current_workload": row.stats.get("io_ops", 0), "running_vms": node.used[0],
        "disk_available_least": row.facts.get("disk_available_gb", 0),
    }  # fmt: skip


def _detail(call: Call, node: Node) -> shapes.Hypervisor:
    row, info = node.row, node.row.facts.get("cpu_info", {})
    service = shapes.HypervisorService(
        number=node.service.id, uuid=node.service.uuid, host=row.host, disabled_reason=node.service.disabled_reason
    )
    return shapes.Hypervisor(
        **_brief(call, node), **_numbers(node), hypervisor_type=row.hypervisor_type,
        hypervisor_version=row.hypervisor_version, host_ip=row.host_ip, service=service, cpu_info=info,
        cpu_text=msgspec.json.encode(info).decode() if info else "",
    )  # fmt: skip
