"""The metadata service: which host may ask for which server."""

from __future__ import annotations

from typing import Any

from kilonova.compute.metadata.app import MetadataService
from kilonova.core.grants import BUILD, HEADER, METADATA, Grant
from kilonova.core.web.transport import AsgiTransport
from kilonova.network.agent.metadata_signature import (
    HOST,
    INSTANCE_ID,
    SIGNATURE,
    TENANT_ID,
    host_secret,
    sign_instance,
)
from tests.support import PROJECT, Client

SECRET, ROUTERS_HOST, OTHER = "s", "host-2", "host-3"
LATER = 2e10


async def test_a_host_with_the_servers_router(cloud: Any) -> None:
    server_id = await cloud.active()
    core = cloud.service.core
    service = MetadataService(core, cloud.service.database, SECRET)
    client = Client(AsgiTransport(service.app))

    async def asks(asking: str, **granted: Any) -> int:
        values = {"server": server_id, "host": asking, "project": PROJECT, "use": METADATA, "until": LATER} | granted
        grant = core.grants.sign(Grant(**values)) if granted else ""
        headers = {
            INSTANCE_ID: server_id, TENANT_ID: PROJECT, HOST: asking, HEADER: grant,
            SIGNATURE: sign_instance(host_secret(SECRET, asking), server_id, PROJECT),
        }  # fmt: skip
        service._cache.clear()
        path = "/openstack/latest/meta_data.json"
        answer = await client("GET", path, token=None, headers=headers)
        return int(answer.status)

    assert await asks("host-1") == 200
    assert await asks(ROUTERS_HOST) == 404
    assert await asks(ROUTERS_HOST, use=METADATA) == 200
    for wrong in ({"use": BUILD}, {"until": 1.0}, {"host": OTHER}, {"server": PROJECT}):
        assert await asks(ROUTERS_HOST, **wrong) == 404, wrong


async def test_volumes_with_a_tag(cloud: Any) -> None:
    server_id, volume_id = await cloud.active(), cloud.volumes.add()
    body = {"volumeAttachment": {"volumeId": volume_id, "tag": "data"}}
    assert (await cloud("POST", f"/servers/{server_id}/os-volume_attachments", "2.49", json=body)).status == 200
    client = Client(AsgiTransport(MetadataService(cloud.service.core, cloud.service.database, SECRET).app))
    headers = {
        INSTANCE_ID: server_id, TENANT_ID: PROJECT, HOST: "host-1",
        SIGNATURE: sign_instance(host_secret(SECRET, "host-1"), server_id, PROJECT),
    }  # fmt: skip
    answer = await client("GET", "/openstack/latest/meta_data.json", token=None, headers=headers)
    disk = {"type": "disk", "bus": "none", "serial": volume_id, "path": "/dev/vdb", "tags": ["data"]}
    assert answer.json["devices"] == [disk]
