"""POST /servers: what is recorded, what is handed over, what is refused."""

from __future__ import annotations

import asyncio
import base64
import uuid

import pytest
from sqlalchemy import select

from kilonova.compute import tables
from kilonova.compute.options import ComputeOptions, Quotas
from kilonova.compute.resources.servers.launch.shared_images import SharedImages
from kilonova.compute.store import request_specs
from kilonova.compute.store import steps as step_store
from kilonova.core import errors
from kilonova.core.context import RequestContext
from tests.databases import statements_of
from tests.eventually import until
from tests.service.compute_api.support import GROUP, IMAGE, NETWORK, image, make_cloud, network, port

PORT = str(uuid.UUID(int=77))


async def rows(cloud, table, **where):
    query = select(table)
    for name, value in where.items():
        query = query.where(table.c[name] == value)
    async with cloud.service.database.reading() as connection:
        return (await connection.execute(query)).all()


async def test_a_launch_is_recorded_and_handed_over(cloud):
    answer = await cloud.boot(name="Web Server.1", networks=[{"uuid": NETWORK}], metadata={"a": "b"}, tags=["x"])
    assert answer.status == 202, answer.content
    made = answer.json["server"]
    assert set(made) == {"id", "links", "adminPass", "OS-DCF:diskConfig", "security_groups"}
    assert answer.headers["location"].endswith(f"/v2.1/servers/{made['id']}")
    assert made["security_groups"] == [{"name": "default"}]
    ((method, (ids, request_id)),) = await cloud.conductor.wait()
    assert (method, ids) == ("build_servers", [made["id"]])
    assert request_id == answer.headers["x-openstack-request-id"]
    assert cloud.conductor.contexts[0].token is None
    (row,) = await rows(cloud, tables.servers)
    assert (row.vm_state, row.task_state, row.hostname) == ("building", "scheduling", "web-server-1")
    assert (row.vcpus, row.memory_mb, row.security_groups) == (1, 128, ["default"])
    assert row.reservation_id.startswith("r-")
    async with cloud.service.database.reading() as connection:
        spec = await request_specs.get(connection, row.uuid)
    assert spec is not None
    assert spec.image is not None
    assert (spec.image.id, spec.networks[0].network_id, spec.security_groups) == (IMAGE, NETWORK, [])
    assert spec.admin_pass == made["adminPass"]
    (action,) = await rows(cloud, tables.server_actions)
    assert (action.action, action.request_id) == ("create", request_id)
    async with cloud.service.database.reading() as connection:
        steps = await step_store.of_request(connection, row.uuid, request_id)
    assert [s.step for s in steps] == ["authenticate", "authorize", "validate", "quota", "record", "hand_over"]
    assert all(s.result == "Success" and s.finished_at >= s.started_at for s in steps)


async def test_launches_at_one_moment_are_recorded_together_and_refused_alone(cloud):
    await cloud.boot()
    sent = await statements_of(cloud.service.database)
    await cloud.boot()
    alone = len(sent)
    sent.clear()
    wishes = [{"name": f"vm{n}"} for n in range(6)]
    wishes += [{"flavorRef": "5", "min_count": 3}, {"flavorRef": "no"}]
    answers = await asyncio.gather(*(cloud.boot(**wish) for wish in wishes))
    assert [a.status for a in answers] == [202] * 6 + [403, 400]
    assert len(sent) < 4 * alone  # eight launches
    made = {a.json["server"]["id"]: a.headers["x-openstack-request-id"] for a in answers[:6]}
    assert len(set(made.values())) == 6
    found = await rows(cloud, tables.servers)
    assert len({row.reservation_id for row in found}) == len(found) == 8
    actions = {a.server_uuid: a.request_id for a in await rows(cloud, tables.server_actions)}
    assert made.items() <= actions.items()
    async with cloud.service.database.reading() as connection:
        for server_id, request_id in made.items():
            recorded = await step_store.of_request(connection, server_id, request_id)
            assert [s.step for s in recorded] == [
                "authenticate",
                "authorize",
                "validate",
                "quota",
                "record",
                "hand_over",
            ]


async def test_members_of_a_group_are_counted_together_too(tmp_path):
    cloud = await make_cloud(tmp_path, ComputeOptions(quotas=Quotas(server_group_members=3)))
    group = {"server_group": {"name": "g", "policy": "anti-affinity"}}
    group_id = (await cloud("POST", "/os-server-groups", json=group)).json["server_group"]["id"]
    hints = {"os:scheduler_hints": {"group": group_id}}
    answers = await asyncio.gather(*(cloud.boot(top=hints) for _ in range(5)))
    assert sorted(a.status for a in answers) == [202] * 3 + [403] * 2
    await cloud.service.stop()


async def test_a_look_at_an_image_is_shared_by_those_with_the_same_token(cloud):
    looks = []

    class Client:
        async def get(self, ctx, image_id):
            looks.append((ctx.token, image_id))
            await asyncio.sleep(0.01)
            if image_id != IMAGE:
                raise errors.NotFound(image_id)
            return image()

    images = SharedImages(Client())
    a, b = (RequestContext(request_id="r", token=token) for token in "ab")
    asked = ((a, IMAGE), (a, IMAGE), (b, IMAGE), (a, "none"), (a, "none"))
    found = await asyncio.gather(*(images.get(*one) for one in asked), return_exceptions=True)
    assert looks == [("a", IMAGE), ("b", IMAGE), ("a", "none")]
    assert [type(one).__name__ for one in found] == ["ImageRecord"] * 3 + ["NotFound"] * 2
    first = asyncio.ensure_future(images.get(a, IMAGE))
    await until(lambda: len(looks) >= 4, pause=0)
    await asyncio.gather(first, images.get(a, IMAGE))  # a later call looks anew
    assert len(looks) == 5


async def test_many_servers_cost_as_many_statements_as_one(cloud):
    await cloud.boot()
    database = cloud.service.database
    assert database.outbox is not None
    database.outbox.send = lambda messages: None  # what it does when is not the request's
    sent = await statements_of(database)
    await cloud.boot()
    one = len(sent)
    sent.clear()
    answer = await cloud.boot(max_count=10, min_count=2, return_reservation_id=True)
    assert 0 < len(sent) <= one + 1
    reservation = answer.json["reservation_id"]
    listed = await cloud("GET", f"/servers?reservation_id={reservation}")
    assert {s["name"] for s in listed.json["servers"]} == {f"vm-{n}" for n in range(1, 9)}  # the quota had room for 8
    assert one <= 16


def bad(**fields):
    return fields


@pytest.mark.parametrize(
    ("fields", "status", "message"),
    [
        ({"imageRef": str(uuid.uuid4())}, 400, "Can not find requested image"),
        ({"imageRef": ""}, 400, "Missing imageRef attribute"),
        ({"imageRef": "../../etc/passwd"}, 400, "imageRef"),
        ({"flavorRef": "nope"}, 400, "Flavor nope could not be found."),
        ({"flavorRef": "http://x/flavors/nope"}, 400, "Flavor nope could not be found."),
        ({"key_name": "nope"}, 400, "Invalid key_name provided."),
        ({"security_groups": [{"name": "nope"}]}, 400, "Security group nope not found for project"),
        ({"networks": [{"uuid": str(uuid.UUID(int=9))}]}, 400, f"Network {uuid.UUID(int=9)} could not be found."),
        ({"networks": [{"uuid": "x"}]}, 400, "network uuid is not in proper format (x)"),
        ({"networks": [{"port": PORT}]}, 400, f"Port id {PORT} could not be found."),
        ({"networks": [{"uuid": NETWORK, "fixed_ip": "10.0.0.300"}]}, 400, "not a valid IP address"),
        ({"networks": [{"uuid": NETWORK, "fixed_ip": "fe80::1%eth0"}]}, 400, "not a valid IP address"),
        ({"accessIPv6": "fe80::1%lo\n"}, 400, "not a valid IP address"),
        ({"accessIPv4": "10.0.0.1\n"}, 400, "not a valid IP address"),
        ({"networks": "some"}, 400, "networks"),
        ({"networks": None}, 400, "networks"),
        ({"name": ""}, 400, "server.name"),
        ({"name": "x" * 256}, 400, "server.name"),
        ({"name": " x"}, 400, "server.name"),
        ({"name": "a\x00b"}, 400, "server.name"),
        ({"name": "a\nb"}, 400, "server.name"),
        ({"name": "a\u202eb"}, 400, "server.name"),
        ({"name": 7}, 400, "server.name"),
        ({"colour": "red"}, 400, "colour"),
        ({"personality": []}, 400, "personality"),
        ({"user_data": "no base64!"}, 400, "User data needs to be valid base 64."),
        ({"user_data": "A" * 65536}, 400, "user_data"),
        ({"metadata": {"k" * 256: "v"}}, 400, "metadata"),
        ({"metadata": {"k": "v" * 256}}, 400, "metadata"),
        ({"metadata": {"k": 1}}, 400, "metadata"),
        ({"metadata": {f"k{n}": "v" for n in range(129)}}, 403, "Maximum number of metadata items exceeds 128"),
        ({"min_count": 3, "max_count": 2}, 400, "min_count must be <= max_count"),
        ({"min_count": 0}, 400, "min_count"),
        ({"availability_zone": "nowhere"}, 400, "The requested availability zone is not available"),
        ({"availability_zone": "a:b:c:d"}, 400, "Unable to parse availability_zone"),
        ({"availability_zone": "nova:host-1"}, 403, "forced_host"),
        ({"host": "host-1"}, 403, "requested_destination"),
        ({"accessIPv4": "::1"}, 400, "not an IPv4 address"),
        ({"tags": ["a,b"]}, 400, "tags"),
        ({"hostname": "a", "max_count": 2}, 400, "single hostname"),
        ({"config_drive": "perhaps"}, 400, "config_drive"),
    ],
)
async def test_what_is_wrong_is_refused_and_changes_nothing(cloud, fields, status, message):
    answer = await cloud.boot(**fields)
    assert answer.status == status, answer.content
    (body,) = answer.json.values()
    assert body["code"] == status
    assert message in body["message"]
    assert await rows(cloud, tables.servers) == []
    assert await rows(cloud, tables.outbox) == []
    assert cloud.conductor.seen == []


@pytest.mark.parametrize(
    "name", ["сервер", "<script>alert(1)</script>", "../../etc", "日本", "a'; DROP TABLE servers; --"]
)
async def test_names_are_only_names(cloud, name):
    made = await cloud.boot(name=name)
    server_id = made.json["server"]["id"]
    shown = await cloud("GET", f"/servers/{server_id}")
    assert shown.json["server"]["name"] == name
    hostname = shown.json["server"]["OS-EXT-SRV-ATTR:hostname"]
    assert all(letter.isascii() and (letter.isalnum() or letter == "-") for letter in hostname)
    if name in ("сервер", "日本"):
        assert hostname == f"Server-{server_id}"


async def test_image_that_is_not_active(cloud):
    cloud.images.held[IMAGE] = image(status="queued")
    answer = await cloud.boot()
    assert (answer.status, answer.json["badRequest"]["message"]) == (400, f"Image {IMAGE} is not active.")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"min_ram": 512}, ["Flavor's memory is too small for requested image.", "128", "512"]),
        ({"size": 2 << 30}, ["Flavor's disk is too small for requested image.", str(1 << 30), str(2 << 30)]),
        ({"min_disk": 3}, ["minimum size specified in image metadata", str(1 << 30), str(3 << 30)]),
    ],
)
async def test_flavor_too_small(cloud, more, words):
    cloud.images.held[IMAGE] = image(**more)
    answer = await cloud.boot()
    assert answer.status == 400
    assert all(word in answer.json["badRequest"]["message"] for word in words)


async def test_three_part_images_are_resolved(cloud):
    kernel, ramdisk = str(uuid.UUID(int=11)), str(uuid.UUID(int=12))
    cloud.images.held |= {kernel: image(kernel, disk_format="aki"), ramdisk: image(ramdisk, disk_format="ari")}
    cloud.images.held[IMAGE] = image(disk_format="ami", properties={"kernel_id": kernel, "ramdisk_id": ramdisk})
    server_id = (await cloud.boot()).json["server"]["id"]
    shown = (await cloud("GET", f"/servers/{server_id}", token="admin")).json["server"]
    assert (shown["OS-EXT-SRV-ATTR:kernel_id"], shown["OS-EXT-SRV-ATTR:ramdisk_id"]) == (kernel, ramdisk)
    del cloud.images.held[ramdisk]
    answer = await cloud.boot()
    assert answer.status == 400
    assert "ramdisk" in answer.json["badRequest"]["message"]


async def test_networks_by_version_and_what_there_is(cloud):
    assert (await cloud.boot(at="2.36", networks=None)).status == 202  # the only network it has
    cloud.networks.held_networks.append(network(str(uuid.UUID(int=20)), name="second"))
    ambiguous = await cloud.boot(at="2.36", networks=None)
    assert ambiguous.status == 409
    assert "Multiple possible networks found" in ambiguous.json["conflictingRequest"]["message"]
    cloud.networks.held_networks = []
    assert (await cloud.boot(at="2.36", networks=None)).status == 202
    refused = await cloud.boot(networks="auto")
    assert refused.status == 400
    assert "Unable to automatically allocate" in refused.json["badRequest"]["message"]
    cloud.networks.automatic = str(uuid.UUID(int=21))
    made = await cloud.boot(networks="auto")
    assert made.status == 202
    async with cloud.service.database.reading() as connection:
        spec = await request_specs.get(connection, made.json["server"]["id"])
    assert spec is not None
    assert [one.network_id for one in spec.networks] == [cloud.networks.automatic]


async def test_addresses_and_ports_in_use(cloud):
    cloud.networks.held_ports = [port(PORT, "10.0.0.5", device_id="somebody")]
    taken = await cloud.boot(networks=[{"uuid": NETWORK, "fixed_ip": "10.0.0.5"}])
    assert taken.status == 400
    assert "10.0.0.5 is already in use on instance somebody" in taken.json["badRequest"]["message"]
    twice = await cloud.boot(networks=[{"uuid": NETWORK, "fixed_ip": "10.0.0.6"}] * 2)
    assert twice.status == 400
    used = await cloud.boot(networks=[{"port": PORT}])
    assert (used.status, used.json["conflictingRequest"]["message"]) == (409, f"Port {PORT} is still in use.")
    cloud.networks.held_ports = [port(PORT, "10.0.0.5")]
    assert (await cloud.boot(networks=[{"port": PORT}])).status == 202
    many = await cloud.boot(networks=[{"port": PORT}], max_count=2)
    assert many.status == 400


async def test_security_groups_by_name_or_id(cloud):
    made = await cloud.boot(security_groups=[{"name": "web"}, {"name": GROUP}])
    server_id = made.json["server"]["id"]
    async with cloud.service.database.reading() as connection:
        spec = await request_specs.get(connection, server_id)
    assert spec is not None
    assert spec.security_groups == [str(uuid.UUID(int=4)), GROUP]
    shown = await cloud("GET", f"/servers/{server_id}")
    assert shown.json["server"]["security_groups"] == [{"name": "web"}, {"name": "default"}]


async def test_quota_names_the_numbers(cloud):
    assert (await cloud.boot(min_count=10)).status == 202
    answer = await cloud.boot(min_count=2)
    assert answer.status == 403
    assert answer.json["forbidden"]["message"] == (
        "Quota exceeded for instances: Requested 2, but already used 10 of 10 instances"
    )
    both = await cloud.boot(flavorRef="5", min_count=2)
    assert (
        "cores, instances: Requested 16, 2, but already used 10, 10 of 20, 10 cores, instances"
        in (both.json["forbidden"]["message"])
    )


async def test_quota_can_not_be_raced(cloud):
    answers = await asyncio.gather(*(cloud.boot(name=f"vm{n}") for n in range(20)))
    assert sorted(a.status for a in answers) == [202] * 10 + [403] * 10
    assert len(await rows(cloud, tables.servers)) == 10


async def test_personality_until_2_56(tmp_path):
    cloud = await make_cloud(tmp_path, ComputeOptions(quotas=Quotas(injected_files=1, injected_file_content_bytes=4)))
    file = {"path": "/etc/motd", "contents": base64.b64encode(b"hi").decode()}
    assert (await cloud.boot(at="2.56", personality=[file])).status == 202
    assert (await cloud.boot(at="2.56", personality=[file, file])).status == 403
    big = file | {"contents": base64.b64encode(b"hello").decode()}
    assert (await cloud.boot(at="2.56", personality=[big])).status == 403
    assert (await cloud.boot(at="2.56", personality=[file | {"contents": "%"}])).status == 400
    await cloud.service.stop()


@pytest.mark.parametrize("content", [b"{", b"", b"[]", b"null", b'{"server": []}', b"\xff\xfe", b"[" * 100000])
async def test_malformed_bodies(cloud, content):
    answer = await cloud("POST", "/servers", content=content)
    assert answer.status == 400, answer.content
    assert answer.json["badRequest"]["code"] == 400


async def test_huge_bodies(cloud):
    answer = await cloud("POST", "/servers", content=b'{"server": {"name": "' + b"x" * (2 << 20) + b'"}}')
    assert answer.status == 413
