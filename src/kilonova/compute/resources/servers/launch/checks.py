"""Step 3 of a launch: everything a request names is looked up, outside of any transaction."""

from __future__ import annotations

import asyncio

from kilonova.compute import models
from kilonova.compute.options import ComputeOptions
from kilonova.compute.peers import ImageReader, NetworkAccess
from kilonova.compute.properties import spec_faults
from kilonova.compute.resources.flavors.logic import sees
from kilonova.compute.resources.servers import errors
from kilonova.compute.resources.servers.launch.disks import DiskChecks
from kilonova.compute.resources.servers.launch.network import resolve_groups, resolve_networks
from kilonova.compute.resources.servers.launch.request import LaunchRequest, Resolved
from kilonova.compute.store import aggregates as aggregate_store
from kilonova.compute.store import flavors as flavor_store
from kilonova.compute.store import hypervisors as node_store
from kilonova.compute.store import key_pairs as key_store
from kilonova.compute.store import records
from kilonova.compute.store import server_groups as group_store
from kilonova.compute.volumes import VolumeReader
from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Database


class LaunchChecks:
    def __init__(
        self, database: Database, options: ComputeOptions, images: ImageReader, networks: NetworkAccess,
        volumes: VolumeReader | None = None,
    ) -> None:  # fmt: skip
        self.database, self.options, self.networks = database, options, networks
        self.disks = DiskChecks(database, images, volumes)

    async def resolve(self, ctx: RequestContext, wanted: LaunchRequest) -> Resolved:
        """Raises the first reason why this launch can't be."""
        spec = await self._from_database(ctx, wanted)
        _, networks, (group_ids, group_names) = await asyncio.gather(
            self.disks.resolve(ctx, wanted, spec),
            resolve_networks(
                self.networks, ctx, wanted.networks, external=wanted.port_may_be_external, most=wanted.most
            ),
            resolve_groups(self.networks, ctx, wanted.security_groups),
        )
        spec.networks, spec.security_groups = networks, group_ids
        properties = spec.image.properties if spec.image is not None else {}
        wanted.config_drive = wanted.config_drive or properties.get("img_config_drive") == "mandatory"
        group = wanted.hints.get("group", [None])[0]
        return Resolved(spec=spec, security_group_names=group_names, server_group_id=group)

    async def _from_database(self, ctx: RequestContext, wanted: LaunchRequest) -> models.RequestSpec:
        async with self.database.reading() as connection:
            flavor = await flavor_store.get(connection, wanted.flavor_id, project_id=sees(ctx))
            if flavor is None or flavor.disabled:
                raise errors.UnknownFlavor(flavor_id=wanted.flavor_id)
            if fault := next(spec_faults(flavor.extra_specs), None):
                raise errors.FlavorUnacceptable(flavor_id=wanted.flavor_id, reason=fault)
            spec = models.RequestSpec(
                flavor=records.flavor(flavor), scheduler_hints=wanted.hints, personality=wanted.personality,
                admin_pass=wanted.admin_pass,
            )  # fmt: skip
            if wanted.key_name is not None:
                spec.key_pair = await key_pair_of(connection, ctx, wanted.key_name)
            await self._place(connection, wanted, spec)
            if "group" in wanted.hints:
                await self._group(connection, ctx, wanted.hints["group"][0])
        return spec

    async def _group(self, connection: Connection, ctx: RequestContext, group_id: str) -> None:
        row = await group_store.get(connection, group_id)
        if row is None or (row.project_id != ctx.project_id and not ctx.is_admin):
            raise errors.UnknownServerGroup(group_id=group_id)

    async def _place(self, connection: Connection, wanted: LaunchRequest, spec: models.RequestSpec) -> None:
        """Zone, forced and requested host: they must be known."""
        zone = wanted.availability_zone
        if zone is not None or wanted.force_host is not None:
            zones = await aggregate_store.host_zones(connection)
            if (
                wanted.force_host is not None
                and zones.get(wanted.force_host, self.options.default_availability_zone) != zone
            ):
                zone = None  # the host decides
            elif zone is not None and zone != self.options.default_availability_zone and zone not in zones.values():
                raise errors.UnknownZone
        spec.availability_zone = zone
        spec.force_host, spec.force_node = wanted.force_host, wanted.force_node
        spec.requested_host = wanted.requested_host
        named = wanted.force_host or wanted.requested_host
        node = wanted.force_node or wanted.requested_node
        if named is None and node is None:
            return
        known = await node_store.find(connection, host=named, hostname=node)
        if not known:
            raise errors.UnknownComputeHost(host=named or node)
        if wanted.requested_node is not None:
            spec.requested_host = known[0].host
        if wanted.force_node is not None:
            spec.force_host = known[0].host


async def key_pair_of(connection: Connection, ctx: RequestContext, name: str) -> models.KeyPair:
    """The caller's of this name; raises UnknownKeyPair."""
    row = await key_store.get(connection, ctx.user_id or "", name)
    if row is None:
        raise errors.UnknownKeyPair
    return models.KeyPair(name=row.name, public_key=row.public_key, type=row.type)
