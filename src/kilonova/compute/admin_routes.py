"""The second part of compute's route table: hosts, quotas, aggregates, groups."""

from __future__ import annotations

from kilonova.compute.resources.aggregates.handlers import Aggregates
from kilonova.compute.resources.extensions import Extensions
from kilonova.compute.resources.hypervisors.handlers import Hypervisors
from kilonova.compute.resources.migrations.handlers import Migrations
from kilonova.compute.resources.quotas.handlers import Quotas
from kilonova.compute.resources.server_groups.handlers import ServerGroups
from kilonova.compute.resources.services.handlers import Services
from kilonova.compute.resources.usage.handlers import Usage
from kilonova.compute.routes import R, V
from kilonova.core.web.app import Route


def host_routes(services: Services, hypervisors: Hypervisors, migrations: Migrations) -> list[Route]:
    every, one, rule = V + "/os-hypervisors", V + "/os-hypervisors/{hypervisor_id:str}", f"{R}:os-hypervisors"
    named = V + "/os-hypervisors/{pattern:str}"
    zones = V + "/os-availability-zone"
    return [
        Route("GET", V + "/os-services", services.list, f"{R}:os-services:list"),
        Route("PUT", V + "/os-services/{service_id:str}", services.update, f"{R}:os-services:update"),
        Route("DELETE", V + "/os-services/{service_id:str}", services.delete, f"{R}:os-services:delete", 204),
        Route("GET", zones, services.zones, f"{R}:os-availability-zone:list"),
        Route("GET", zones + "/detail", services.zone_details, f"{R}:os-availability-zone:detail"),
        Route("GET", V + "/os-migrations", migrations.list, f"{R}:os-migrations:index"),
        Route("GET", V + "/os-hosts", services.hosts, f"{R}:os-hosts:list", until="2.42"),
        Route("GET", every, hypervisors.list, f"{rule}:list"),
        Route("GET", every + "/detail", hypervisors.detail, f"{rule}:list-detail"),
        Route("GET", every + "/statistics", hypervisors.statistics, f"{rule}:statistics", until="2.87"),
        Route("GET", one, hypervisors.show, f"{rule}:show"),
        Route("GET", one + "/uptime", hypervisors.uptime, f"{rule}:uptime", until="2.87"),
        Route("GET", named + "/search", hypervisors.search, f"{rule}:search", until="2.52"),
        Route("GET", named + "/servers", hypervisors.servers, f"{rule}:servers", until="2.52"),
    ]


def quota_routes(quotas: Quotas, usage: Usage, extensions: Extensions) -> list[Route]:
    one, rule = V + "/os-quota-sets/{project_id:str}", f"{R}:os-quota-sets"
    used = f"{R}:os-simple-tenant-usage"
    named, classes = V + "/os-quota-class-sets/{name:str}", f"{R}:os-quota-class-sets"
    return [
        Route("GET", V + "/limits", quotas.limits, f"{R}:limits"),
        Route("GET", one, quotas.show, f"{rule}:show"),
        Route("GET", one + "/detail", quotas.detail, f"{rule}:detail"),
        Route("GET", one + "/defaults", quotas.defaults, f"{rule}:defaults"),
        Route("PUT", one, quotas.update, f"{rule}:update"),
        Route("DELETE", one, quotas.delete, f"{rule}:delete", 202),
        Route("GET", named, quotas.show_class, f"{classes}:show"),
        Route("PUT", named, quotas.update_class, f"{classes}:update"),
        Route("GET", V + "/os-simple-tenant-usage", usage.list, f"{used}:list"),
        Route("GET", V + "/os-simple-tenant-usage/{project_id:str}", usage.show, f"{used}:show"),
        Route("GET", V + "/extensions", extensions.list, f"{R}:extensions"),
        Route("GET", V + "/extensions/{alias:str}", extensions.show, f"{R}:extensions"),
    ]


def group_routes(aggregates: Aggregates, groups: ServerGroups) -> list[Route]:
    every, one, rule = V + "/os-aggregates", V + "/os-aggregates/{aggregate_id:str}", f"{R}:os-aggregates"
    grouped, group, members = V + "/os-server-groups", V + "/os-server-groups/{group_id:str}", f"{R}:os-server-groups"
    return [
        Route("GET", every, aggregates.list, f"{rule}:index"),
        Route("POST", every, aggregates.create, f"{rule}:create"),
        Route("GET", one, aggregates.show, f"{rule}:show"),
        Route("PUT", one, aggregates.update, f"{rule}:update"),
        Route("DELETE", one, aggregates.delete, f"{rule}:delete"),
        Route("POST", one + "/action", aggregates.action, f"{rule}:show"),
        Route("POST", one + "/images", aggregates.images, "compute:aggregates:images", 202, since="2.81"),
        Route("GET", grouped, groups.list, f"{members}:index"),
        Route("POST", grouped, groups.create, f"{members}:create"),
        Route("GET", group, groups.show, f"{members}:show"),
        Route("DELETE", group, groups.delete, f"{members}:delete", 204),
    ]
