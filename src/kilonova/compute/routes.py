"""The route table of compute: which path is whose, and which rule allows it."""

from __future__ import annotations

from kilonova.compute.resources.external_events.handlers import ExternalEvents
from kilonova.compute.resources.flavors.extras import FlavorExtras
from kilonova.compute.resources.flavors.handlers import Flavors
from kilonova.compute.resources.instance_actions.handlers import History
from kilonova.compute.resources.key_pairs.handlers import KeyPairs
from kilonova.compute.resources.security_groups.handlers import SecurityGroups
from kilonova.compute.resources.server_actions.handlers import ServerActions
from kilonova.compute.resources.server_interfaces.handlers import ServerParts
from kilonova.compute.resources.server_metadata.handlers import ServerMetadata
from kilonova.compute.resources.server_tags.handlers import ServerTags
from kilonova.compute.resources.servers.handlers import Servers
from kilonova.compute.resources.versions.handlers import Versions
from kilonova.compute.resources.versions.legacy_login import LegacyLogin
from kilonova.core.web.app import Route

R = "os_compute_api"
V = "/v2.1"
SERVERS, SERVER = V + "/servers", V + "/servers/{server_id:str}"


def version_routes(versions: Versions, login: LegacyLogin) -> list[Route]:
    return [
        Route("GET", "/", versions.list, public=True),
        Route("GET", V, versions.current, public=True),
        Route("GET", "/v2", versions.legacy, public=True),
        Route("GET", "/v1.0", login.login, public=True),
        Route("GET", "/v1.1", login.login, public=True),
    ]


def flavor_routes(flavors: Flavors, extras: FlavorExtras) -> list[Route]:
    one, manage, specs = V + "/flavors/{flavor_id:str}", f"{R}:os-flavor-manage", f"{R}:os-flavor-extra-specs"
    spec = one + "/os-extra_specs/{key:str}"
    return [
        Route("GET", V + "/flavors", flavors.list, f"{R}:flavors"),
        Route("GET", V + "/flavors/detail", flavors.detail, f"{R}:flavors"),
        Route("POST", V + "/flavors", flavors.create, f"{manage}:create"),
        Route("GET", one, flavors.show, f"{R}:flavors"),
        Route("PUT", one, flavors.update, f"{manage}:update", since="2.55"),
        Route("DELETE", one, flavors.delete, f"{manage}:delete", 202),
        Route("GET", one + "/os-extra_specs", extras.specs, f"{specs}:index"),
        Route("POST", one + "/os-extra_specs", extras.create_specs, f"{specs}:create"),
        Route("GET", spec, extras.spec, f"{specs}:show"),
        Route("PUT", spec, extras.update_spec, f"{specs}:update"),
        Route("DELETE", spec, extras.delete_spec, f"{specs}:delete"),
        Route("GET", one + "/os-flavor-access", extras.access, f"{R}:os-flavor-access"),
        Route("POST", one + "/action", extras.action, f"{R}:os-flavor-access:add_tenant_access"),
    ]


def key_pair_routes(pairs: KeyPairs) -> list[Route]:
    every, one, rule = V + "/os-keypairs", V + "/os-keypairs/{name:str}", f"{R}:os-keypairs"
    return [
        Route("GET", every, pairs.list, f"{rule}:index"),
        Route("POST", every, pairs.create, f"{rule}:create"),
        Route("GET", one, pairs.show, f"{rule}:show"),
        Route("DELETE", one, pairs.delete, f"{rule}:delete"),
    ]


def server_routes(servers: Servers, actions: ServerActions) -> list[Route]:
    rule = f"{R}:servers"
    return [
        Route("GET", SERVERS, servers.list, f"{rule}:index"),
        Route("POST", SERVERS, servers.create, f"{rule}:create", 202),
        Route("GET", SERVERS + "/detail", servers.detail, f"{rule}:detail"),
        Route("GET", SERVER, servers.show, f"{rule}:show"),
        Route("PUT", SERVER, servers.update, f"{rule}:update"),
        Route("DELETE", SERVER, servers.delete, f"{rule}:delete", 204),
        Route("POST", SERVER + "/action", actions.act, "kilonova:servers:action", 202),
    ]


def server_item_routes(metadata: ServerMetadata, tags: ServerTags) -> list[Route]:
    items, item, rule = SERVER + "/metadata", SERVER + "/metadata/{key:str}", f"{R}:server-metadata"
    every, one, tag = SERVER + "/tags", SERVER + "/tags/{tag:str}", f"{R}:os-server-tags"
    return [
        Route("GET", items, metadata.list, f"{rule}:index"),
        Route("POST", items, metadata.add, f"{rule}:create"),
        Route("PUT", items, metadata.replace, f"{rule}:update_all"),
        Route("GET", item, metadata.show, f"{rule}:show"),
        Route("PUT", item, metadata.put, f"{rule}:update"),
        Route("DELETE", item, metadata.delete, f"{rule}:delete", 204),
        Route("GET", every, tags.list, f"{tag}:index", since="2.26"),
        Route("PUT", every, tags.replace, f"{tag}:update_all", since="2.26"),
        Route("DELETE", every, tags.clear, f"{tag}:delete_all", 204, since="2.26"),
        Route("GET", one, tags.show, f"{tag}:show", 204, since="2.26"),
        Route("PUT", one, tags.add, f"{tag}:update", since="2.26"),
        Route("DELETE", one, tags.delete, f"{tag}:delete", 204, since="2.26"),
    ]


def server_part_routes(parts: ServerParts, history: History, events: ExternalEvents) -> list[Route]:
    ports, volumes = SERVER + "/os-interface", SERVER + "/os-volume_attachments"
    done, action = SERVER + "/os-instance-actions", f"{R}:os-instance-actions"
    return [
        Route("GET", SERVER + "/ips", parts.ips, f"{R}:ips:index"),
        Route("GET", SERVER + "/ips/{name:str}", parts.ips_of, f"{R}:ips:show"),
        Route("GET", ports, parts.interfaces, f"{R}:os-attach-interfaces:list"),
        Route("GET", ports + "/{port_id:str}", parts.interface, f"{R}:os-attach-interfaces:show"),
        Route("GET", volumes, parts.volumes, f"{R}:os-volumes-attachments:index"),
        Route("GET", volumes + "/{volume_id:str}", parts.volume, f"{R}:os-volumes-attachments:show"),
        Route("GET", SERVER + "/os-security-groups", parts.security_groups, f"{R}:os-security-groups:list"),
        Route("GET", done, history.actions, f"{action}:list"),
        Route("GET", done + "/{request_id:str}", history.action, f"{action}:show"),
        # not upstream's: why a server is where it is, for `kilonova explain`
        Route("GET", SERVER + "/os-kilonova-decisions", history.decisions, "kilonova:servers:decisions"),
        Route("POST", V + "/os-server-external-events", events.create, f"{R}:os-server-external-events:create"),
    ]


def security_group_routes(groups: SecurityGroups) -> list[Route]:
    every, one, rule = V + "/os-security-groups", V + "/os-security-groups/{group_id:str}", f"{R}:os-security-groups"
    rules = V + "/os-security-group-rules"
    return [
        Route("GET", every, groups.list, f"{rule}:get", until="2.35"),
        Route("POST", every, groups.create, f"{rule}:create", until="2.35"),
        Route("GET", one, groups.show, f"{rule}:show", until="2.35"),
        Route("PUT", one, groups.update, f"{rule}:update", until="2.35"),
        Route("DELETE", one, groups.delete, f"{rule}:delete", 202, until="2.35"),
        Route("POST", rules, groups.create_rule, f"{rule}:rule:create", until="2.35"),
        Route("DELETE", rules + "/{rule_id:str}", groups.delete_rule, f"{rule}:rule:delete", 202, until="2.35"),
    ]
