"""Servers as clients see them: views by version, lists, changes, metadata and tags."""

from __future__ import annotations

import uuid
from itertools import pairwise

import msgspec
import pytest
from sqlalchemy import insert, update

from kilonova.compute import tables
from kilonova.compute.store import request_specs
from tests.databases import statements_of
from tests.eventually import until
from tests.service.compute_api.support import IMAGE, NETWORK

VIF = {
    "port_id": str(uuid.UUID(int=70)), "network_id": NETWORK, "network_name": "private", "mac_address": "fa:16:3e:00:00:01",
    "fixed_ips": [
        {"address": "10.0.0.5", "subnet": {"id": "s", "cidr": "10.0.0.0/24"}, "floating_ips": ["198.51.100.7"]},
        {"address": "fd00::5", "subnet": {"id": "s6", "cidr": "fd00::/64", "ip_version": 6}},
    ],
    "active": True,
}  # fmt: skip

# field → (first version, last version) of GET /servers/{id}, for a member
FIELDS = {
    "id": ("2.1", "2.104"), "status": ("2.1", "2.104"), "OS-EXT-STS:vm_state": ("2.1", "2.104"),
    "locked": ("2.9", "2.104"), "description": ("2.19", "2.104"), "tags": ("2.26", "2.104"),
    "trusted_image_certificates": ("2.63", "2.104"), "server_groups": ("2.71", "2.104"),
    "locked_reason": ("2.73", "2.104"), "OS-EXT-SRV-ATTR:hostname": ("2.90", "2.104"),
    "pinned_availability_zone": ("2.96", "2.104"), "scheduler_hints": ("2.100", "2.104"),
}  # fmt: skip
ADMIN_FIELDS = {
    "OS-EXT-SRV-ATTR:host": ("2.1", "2.104"), "OS-EXT-SRV-ATTR:instance_name": ("2.1", "2.104"),
    "OS-EXT-SRV-ATTR:user_data": ("2.3", "2.104"), "OS-EXT-SRV-ATTR:reservation_id": ("2.3", "2.104"),
    "OS-EXT-SRV-ATTR:hostname": ("2.3", "2.104"), "host_status": ("2.16", "2.104"),
}  # fmt: skip


def minor(text: str) -> int:
    return int(text.split(".")[1])


@pytest.mark.parametrize("at", ["2.1", "2.3", "2.8", "2.9", "2.16", "2.19", "2.26", "2.46", "2.47", "2.63", "2.71", "2.73",
                                "2.90", "2.96", "2.98", "2.100", "2.104"])  # fmt: skip
async def test_fields_by_version(cloud, at):
    server_id = await cloud.active()
    for token, fields in (("member", FIELDS), ("admin", ADMIN_FIELDS)):
        shown = (await cloud("GET", f"/servers/{server_id}", at, token)).json["server"]
        for name, (first, last) in fields.items():
            assert (name in shown) == (minor(first) <= minor(at) <= minor(last)), (token, name)
    member = (await cloud("GET", f"/servers/{server_id}", at)).json["server"]
    assert "OS-EXT-SRV-ATTR:host" not in member
    assert "host_status" not in member
    assert ("id" in member["flavor"]) == (minor(at) < 47)
    assert ("original_name" in member["flavor"]) == (minor(at) >= 47)
    assert ("properties" in member["image"]) == (minor(at) >= 98)
    listed = (await cloud("GET", "/servers/detail", at)).json["servers"][0]
    assert set(listed) == set(member) - {"server_groups"}


async def test_a_server_in_detail(cloud):
    server_id = await cloud.active(networks=[{"uuid": NETWORK}], config_drive=True)
    await cloud.row(server_id, network_info=[VIF], launched_at=cloud.service.core.clock.row_time())
    shown = (await cloud("GET", f"/servers/{server_id}")).json["server"]
    assert shown["status"] == "ACTIVE"
    assert shown["addresses"]["private"] == [
        {"version": 4, "addr": "10.0.0.5", "OS-EXT-IPS:type": "fixed", "OS-EXT-IPS-MAC:mac_addr": VIF["mac_address"]},
        {
            "version": 4,
            "addr": "198.51.100.7",
            "OS-EXT-IPS:type": "floating",
            "OS-EXT-IPS-MAC:mac_addr": VIF["mac_address"],
        },
        {"version": 6, "addr": "fd00::5", "OS-EXT-IPS:type": "fixed", "OS-EXT-IPS-MAC:mac_addr": VIF["mac_address"]},
    ]
    assert (shown["config_drive"], shown["progress"], shown["key_name"]) == ("True", 0, None)
    assert len(shown["hostId"]) == 56
    assert shown["image"]["id"] == IMAGE
    assert shown["created"].endswith("Z")
    assert (await cloud("GET", f"/servers/{server_id}/ips")).json == {
        "addresses": {
            "private": [{"version": v, "addr": a} for v, a in ((4, "10.0.0.5"), (4, "198.51.100.7"), (6, "fd00::5"))]
        }
    }
    assert (await cloud("GET", f"/servers/{server_id}/ips/public")).status == 404
    ports = (await cloud("GET", f"/servers/{server_id}/os-interface")).json["interfaceAttachments"]
    assert (ports[0]["port_state"], ports[0]["fixed_ips"][0]["ip_address"]) == ("ACTIVE", "10.0.0.5")
    assert (await cloud("GET", f"/servers/{server_id}/os-interface/{VIF['port_id']}")).status == 200
    assert (await cloud("GET", f"/servers/{server_id}/os-interface/{uuid.uuid4()}")).status == 404
    assert (await cloud("GET", f"/servers/{server_id}/os-volume_attachments")).json == {"volumeAttachments": []}


async def test_faults_show_users_the_reason_and_admins_the_host_too(cloud):
    server_id = await cloud.active()
    await cloud.row(server_id, vm_state="error")
    async with cloud.service.database.transaction() as tx:
        fault = {"server_uuid": server_id, "code": 500, "message": "No valid host was found.", "details": "host-1: full",
                 "created_at": cloud.service.core.clock.row_time()}  # fmt: skip
        await tx.connection.execute(insert(tables.server_faults).values(**fault))
    for path in (f"/servers/{server_id}", "/servers/detail?all_tenants=1"):
        for token, details in (("member", None), ("admin", "host-1: full")):
            answer = await cloud("GET", path.split("?")[0] if token == "member" else path, token=token)
            shown = answer.json.get("server") or answer.json["servers"][0]
            assert (shown["status"], shown["fault"]["message"]) == ("ERROR", "No valid host was found.")
            assert shown["fault"].get("details") == details
            assert "progress" not in shown


async def test_a_list_shows_what_changed_since_the_last_one(cloud):
    """It remembers views; nothing of what they are made of may be forgotten in the comparison."""
    server_id = await cloud.active()
    async with cloud.service.database.reading() as connection:
        spec = await request_specs.get(connection, server_id)
    spec.availability_zone = "here"
    moment = cloud.service.core.clock.row_time()
    fault = {"server_uuid": server_id, "code": 500, "message": "broken", "details": "by whom", "created_at": moment}
    volume = {"server_uuid": server_id, "volume_id": str(uuid.UUID(int=9)), "source_type": "volume",
              "destination_type": "volume", "uuid": str(uuid.UUID(int=8))}  # fmt: skip
    changes = [
        update(tables.servers).values(metadata={"a": "b"}),
        update(tables.servers).values(tags=["blue"], locked_by="owner"),
        update(tables.servers).values(trusted_image_certificates=["c"], updated_at=moment),
        update(tables.services).values(disabled=True),
        insert(tables.block_devices).values(volume),
        update(tables.block_devices).values(delete_on_termination=False),
        update(tables.request_specs).values(spec=msgspec.msgpack.encode(spec)),
        update(tables.servers).values(vm_state="error"),
        insert(tables.server_faults).values(fault),
    ]
    seen = []
    for change in [None, *changes]:
        if change is not None:
            async with cloud.service.database.transaction() as tx:
                await tx.connection.execute(change)
        answers = []
        for at, token in (("2.1", "member"), ("2.104", "member"), ("2.104", "admin")):
            shown = (await cloud("GET", f"/servers/{server_id}", at, token)).json["server"]
            for _ in range(2):
                answer = await cloud(
                    "GET", "/servers/detail?all_tenants=1" if token == "admin" else "/servers/detail", at, token
                )
                (listed,) = answer.json["servers"]
                assert listed == {key: value for key, value in shown.items() if key != "server_groups"}
            answers.append(listed)
        seen.append(answers)
    for before, after in pairwise(seen):
        assert before != after  # each change is seen by some callers


async def test_lists_cost_four_statements_at_most(cloud):
    await cloud.boot(min_count=10)
    await cloud.conductor.wait()
    database = cloud.service.database
    assert database.outbox is not None
    await until(lambda: not database.outbox.sending)  # it forgets what it delivered
    database.outbox.shared = False  # and does not look at others
    sent = await statements_of(database)
    for at, token, query, most in (
        ("2.1", "member", "", 2), ("2.104", "member", "", 2), ("2.104", "admin", "?all_tenants=1", 3)
    ):  # fmt: skip
        sent.clear()
        answer = await cloud("GET", f"/servers/detail{query}", at, token)
        assert len(answer.json["servers"]) == 10
        assert 0 < len(sent) <= most
    ids = [server["id"] for server in answer.json["servers"]]
    for server_id in ids:
        await cloud.row(server_id, vm_state="error")
    sent.clear()
    assert (await cloud("GET", "/servers/detail?all_tenants=1", token="admin")).status == 200
    assert 0 < len(sent) <= 4
    sent.clear()
    await cloud("GET", "/servers")
    assert len(sent) == 1


async def test_pages_and_order(cloud):
    for n in (2, 0, 1):
        await cloud.boot(name=f"vm{n}")
    first = (await cloud("GET", "/servers?limit=2&sort_key=display_name&sort_dir=asc")).json
    assert [s["name"] for s in first["servers"]] == ["vm0", "vm1"]
    (link,) = first["servers_links"]
    assert link["rel"] == "next"
    second = (await cloud("GET", link["href"].split("/v2.1")[1])).json
    assert [s["name"] for s in second["servers"]] == ["vm2"]
    assert "servers_links" not in second
    newest = (await cloud("GET", "/servers")).json["servers"]
    assert [s["name"] for s in newest] == ["vm1", "vm0", "vm2"]
    down = (await cloud("GET", "/servers?limit=1&sort_key=display_name&sort_dir=desc")).json
    assert (await cloud("GET", down["servers_links"][0]["href"].split("/v2.1")[1])).json["servers"][0]["name"] == "vm1"
    again = "sort_key=display_name&sort_dir=desc&" + "&".join(["sort_key=display_name&sort_dir=asc"] * 1000)
    assert [s["name"] for s in (await cloud("GET", f"/servers?{again}")).json["servers"]] == ["vm2", "vm1", "vm0"]
    for path in ("/servers?limit=0", "/servers/detail?limit=0"):
        assert (await cloud("GET", path)).json == {"servers": []}
    for query in ("limit=-1", "limit=x", "marker=nope", "sort_key=password", "sort_dir=up", f"marker={uuid.uuid4()}"):
        assert (await cloud("GET", f"/servers?{query}")).status == 400, query


async def test_filters(cloud):
    web = await cloud.active(name="web.1", tags=["a", "b"], metadata={"role": "x"}, accessIPv4="192.0.2.1")
    db = await cloud.active(name="db-1", flavorRef="1", tags=["b"], key_name=None)
    await cloud.row(db, vm_state="stopped", network_info=[VIF], locked_by="owner")
    gone = await cloud.active(name="gone")
    async with cloud.service.database.transaction() as tx:
        from kilonova.compute.store.conductor_servers import mark_deleted

        assert await mark_deleted(tx.connection, [gone], cloud.service.core.clock.row_time())

    async def found(query: str, token: str = "member") -> set[str]:
        answer = await cloud("GET", f"/servers?{query}", token=token)
        assert answer.status == 200, (query, answer.content)
        return {server["name"] for server in answer.json["servers"]}

    for query, names in {
        "name=web": {"web.1"}, "name=^db-1$": {"db-1"}, "name=web.1": {"web.1"}, "name=(web|db).*": {"web.1", "db-1"},
        "name=%25": set(), "status=ACTIVE": {"web.1"}, "status=shutoff": {"db-1"},
        "status=ACTIVE&status=SHUTOFF": {"web.1", "db-1"}, "flavor=1": {"db-1"}, f"image={IMAGE}": {"web.1", "db-1"},
        "ip=10.0.0.5": {"db-1"}, "ip6=fd00::": {"db-1"}, "tags=a,b": {"web.1"}, "tags-any=a,b": {"web.1", "db-1"},
        "not-tags=a": {"db-1"}, "not-tags-any=a,b": set(), "locked=true": {"db-1"}, "vm_state=stopped": {"db-1"},
        "power_state=1": {"web.1", "db-1"}, "changes-since=2001-01-01T00:00:00Z": {"web.1", "db-1", "gone"},
        "changes-before=2001-01-01T00:00:00Z": set(), "host=host-2": {"web.1", "db-1"}, "user_id=demo": {"web.1", "db-1"},
        "access_ip_v4=192.0.2.1": {"web.1"},
    }.items():  # fmt: skip
        assert await found(query) == names, query
    for query, names in {
        "all_tenants=1": {"web.1", "db-1"}, "all_tenants=1&host=host-1": {"web.1", "db-1"}, "host=host-1": set(),
        "all_tenants=1&host=host-2": set(), "all_tenants=1&deleted=true": {"gone"}, "all_tenants=1&status=DELETED": {"gone"},
        "all_tenants=1&project_id=" + "1" * 32: {"web.1", "db-1"}, "all_tenants=1&project_id=x": set(),
        'all_tenants=1&metadata={"role":"x"}': {"web.1"}, f"all_tenants=1&uuid={web}": {"web.1"},
    }.items():  # fmt: skip
        assert await found(query, "admin") == names, query
    assert await found("", "foreign") == set()
    for query, status in {
        "all_tenants=1": 403, "status=DELETED": 403, "status=NOPE": 400, "name=(": 400, "name=(?=a)": 400,
        "changes-since=yesterday": 400, "power_state=x": 400, "colour=red": 400, "locked=perhaps": 400,
        "changes-since=2026-01-02T00:00:00Z&changes-before=2026-01-01T00:00:00Z": 400,
    }.items():  # fmt: skip
        assert (await cloud("GET", f"/servers?{query}")).status == status, query
    assert (await cloud("GET", "/servers?colour=red&status=NOPE", "2.37")).json == {"servers": []}
    assert (await cloud("GET", f"/servers/{gone}")).status == 404


async def test_changes(cloud):
    server_id = await cloud.active()
    body = {"server": {"name": "new", "description": "words", "accessIPv4": "192.0.2.9", "hostname": "a.example"}}
    shown = (await cloud("PUT", f"/servers/{server_id}", json=body)).json["server"]
    assert (shown["name"], shown["description"], shown["accessIPv4"]) == ("new", "words", "192.0.2.9")
    assert shown["OS-EXT-SRV-ATTR:hostname"] == "a.example"
    longest = {"server": {"accessIPv6": "0000:0000:0000:0000:0000:babe:220.122.222.222"}}
    assert (await cloud("PUT", f"/servers/{server_id}", json=longest)).json["server"][
        "accessIPv6"
    ] == "::babe:dc7a:dede"
    old = (await cloud("PUT", f"/servers/{server_id}", "2.74", json={"server": {"name": "x"}})).json["server"]
    assert "OS-EXT-STS:vm_state" not in old
    for at, change in (
        ("2.18", {"description": "x"}), ("2.89", {"hostname": "x"}), ("2.93", {"hostname": "a.b"}), ("2.104", {"name": ""}),
        ("2.104", {"accessIPv6": "1.2.3.4"}), ("2.104", {"accessIPv6": "fe80::1%eth0"}),
        ("2.104", {"status": "ACTIVE"}), ("2.104", {"host": "x"}),
    ):  # fmt: skip
        assert (await cloud("PUT", f"/servers/{server_id}", at, json={"server": change})).status == 400, change
    assert (await cloud("PUT", f"/servers/{uuid.uuid4()}", json=body)).status == 404
    pin = await cloud("PUT", f"/servers/{server_id}", json={"server": {"pinned_availability_zone": "nova"}})
    assert pin.json["server"]["pinned_availability_zone"] == "nova"
    other = await cloud("PUT", f"/servers/{server_id}", json={"server": {"pinned_availability_zone": "z"}})
    assert other.status == 409


async def test_metadata(cloud):
    server_id = await cloud.active(metadata={"a": "1"})
    path = f"/servers/{server_id}/metadata"
    assert (await cloud("POST", path, json={"metadata": {"b": "2"}})).json == {"metadata": {"a": "1", "b": "2"}}
    assert (await cloud("PUT", f"{path}/c", json={"meta": {"c": "3"}})).json == {"meta": {"c": "3"}}
    assert (await cloud("GET", f"{path}/c")).json == {"meta": {"c": "3"}}
    assert (await cloud("PUT", f"{path}/c", json={"meta": {"d": "3"}})).status == 400
    assert (await cloud("DELETE", f"{path}/a")).status == 204
    assert (await cloud("DELETE", f"{path}/a")).status == 404
    assert (await cloud("GET", f"{path}/a")).status == 404
    assert (await cloud("PUT", path, json={"metadata": {"z": "9"}})).json == {"metadata": {"z": "9"}}
    assert (await cloud("GET", path)).json == {"metadata": {"z": "9"}}
    many = {"metadata": {f"k{n}": "v" for n in range(129)}}
    assert (await cloud("PUT", path, json=many)).status == 403
    await cloud.row(server_id, vm_state="building")
    assert (await cloud("POST", path, json={"metadata": {"b": "2"}})).status == 409


async def test_tags(cloud):
    server_id = await cloud.active()
    path = f"/servers/{server_id}/tags"
    added = await cloud("PUT", f"{path}/one")
    assert added.status == 201
    assert added.headers["location"].endswith(f"{server_id}/tags/one")
    assert (await cloud("PUT", f"{path}/one")).status == 204
    assert (await cloud("GET", f"{path}/one")).status == 204
    assert (await cloud("GET", f"{path}/two")).status == 404
    assert (await cloud("PUT", path, json={"tags": ["x", "y"]})).json == {"tags": ["x", "y"]}
    assert (await cloud("PUT", path, json={"tags": [f"t{n}" for n in range(51)]})).status == 400
    assert (await cloud("PUT", f"{path}/{'t' * 61}")).status == 400
    assert (await cloud("DELETE", f"{path}/x")).status == 204
    assert (await cloud("DELETE", f"{path}/x")).status == 404
    assert (await cloud("GET", path)).json == {"tags": ["y"]}
    assert (await cloud("DELETE", path)).status == 204
    assert (await cloud("GET", path, "2.25")).status == 404
