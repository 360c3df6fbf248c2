"""What a refusal says: what is wrong, on which field, what is allowed. And what no text may hold."""

from __future__ import annotations

import uuid

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from kilonova.compute import tables
from kilonova.compute.options import ComputeOptions, Quotas
from tests.service.compute_api.support import IMAGE, NETWORK, make_cloud, network
from tests.service.compute_api.test_launch import rows

OTHER_IMAGE = str(uuid.UUID(int=99))


def message(answer) -> str:
    (body,) = answer.json.values()
    return body["message"]


@pytest.mark.parametrize(
    ("at", "fields", "words"),
    [
        ("2.51", {"tags": ["a"]}, "server has 'tags' only at microversion 2.52 or later, and this request has 2.51"),
        ("2.18", {"description": "x"}, "has 'description' only at microversion 2.19 or later"),
        ("2.73", {"host": "x"}, "has 'host' only at microversion 2.74 or later"),
        ("2.57", {"personality": []}, "has 'personality' only at microversion 2.1 to 2.56"),
        ("2.31", {"networks": [{"uuid": NETWORK, "tag": "x"}]}, "has 'tag' only at microversion 2.32 or later"),
        ("2.104", {"colour": "red"}, "server has no property 'colour'"),
        ("2.104", {"config_drive": "perhaps"}, "must be a boolean, or one of the texts true, false, 1, 0, on, off, yes, no"),
        ("2.104", {"name": "a\nb"}, "server.name must be printable characters without space at the ends"),
        ("2.104", {"tags": ["a,b"]}, "server.tags[0] must be text without comma, slash and control characters"),
        ("2.104", {"metadata": {"a/b": "c"}}, "must be a key of 1 to 255 letters, digits, spaces and any of - _ : ."),
        ("2.104", {"imageRef": "x"}, "server.imageRef must be the UUID of an image, or no text"),
        ("2.93", {"hostname": "a.b"}, "server.hostname must be letters, digits and inner hyphens"),
        ("2.104", {"hostname": "a..b"}, "must be a host name, perhaps with its domain"),
        ("2.104", {"min_count": "none"}, "server.min_count must be a number of at least 1"),
        ("2.104", {"networks": [{"port": "x"}]}, "server.networks[0].port must be a UUID"),
    ],
)  # fmt: skip
async def test_bodies_that_do_not_fit(cloud, at, fields, words):
    answer = await cloud.boot(at=at, **({} if int(at[2:]) >= 37 else {"networks": None}) | fields)
    assert answer.status == 400, answer.content
    assert words in message(answer)
    assert "regex" not in message(answer)


async def test_a_long_text_of_the_client_is_not_repeated_in_the_error(cloud):
    answer = await cloud.boot(**{"x" * 100_000: 1})
    assert answer.status == 400
    assert len(message(answer)) < 2000


@pytest.mark.parametrize(
    "fields",
    [
        {"adminPass": "x" * 256}, {"adminPass": "x" * 900_000}, {"adminPass": "a\0b"}, {"adminPass": "a\nb"},
        {"name": "a\0b"}, {"metadata": {"k": "a\0b"}}, {"metadata": {"k": "a\x1bb"}}, {"metadata": {"k\0": "a"}},
        {"tags": ["a\0b"]}, {"tags": ["a\nb"]}, {"description": "a\0b"}, {"user_data": "YQ==\0"}, {"key_name": "a\0b"},
        {"availability_zone": "a\0b"}, {"security_groups": [{"name": "a\0b"}]}, {"trusted_image_certificates": ["a\0b"]},
        {"trusted_image_certificates": ["a" * 256]}, {"accessIPv6": "fe80::1%eth0"}, {"flavorRef": "a\0b"},
        {"block_device_mapping_v2": [{"source_type": "image", "uuid": IMAGE, "boot_index": 0, "device_name": "a\0"}]},
    ],
)  # fmt: skip
async def test_what_no_text_may_hold(cloud, fields):
    answer = await cloud.boot(**fields)
    assert answer.status == 400, answer.content
    assert await rows(cloud, tables.servers) == []


@pytest.mark.parametrize(
    "hints",
    [
        {"a": "x" * 256},
        {"a": "a\0b"},
        {"a\0": "b"},
        {"a": {"b": "c" * 300}},
        {f"k{n}": "v" for n in range(51)},
        {"k" * 256: "v"},
    ],
)
async def test_what_no_hint_may_hold(cloud, hints):
    assert (await cloud.boot(top={"os:scheduler_hints": hints})).status == 400


async def test_what_no_other_text_may_hold(cloud):
    server = await cloud.active()
    for method, path, body in (
        ("POST", f"/servers/{server}/action", {"lock": {"locked_reason": "a\0b"}}),
        ("PUT", f"/servers/{server}/tags", {"tags": ["a\0"]}),
        ("POST", f"/servers/{server}/metadata", {"metadata": {"k": "\0"}}),
        ("PUT", f"/servers/{server}", {"server": {"description": "\0"}}),
        ("POST", "/os-server-groups", {"server_group": {"name": "a\0", "policy": "affinity"}}),
        ("POST", "/flavors/42/os-extra_specs", {"extra_specs": {"k": "\0"}}),
        ("POST", "/os-aggregates", {"aggregate": {"name": "a\0"}}),
    ):
        answer = await cloud(method, path, token="admin", json=body)
        assert answer.status == 400, (path, answer.content)


# block devices and networks


def device(**fields):
    return {"source_type": "image", "destination_type": "local", "uuid": IMAGE, "boot_index": 0} | fields


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"imageRef": "", "block_device_mapping_v2": [device()]}, "Mapping image to local is not supported."),
        ({"imageRef": None, "block_device_mapping_v2": [device()]}, "Mapping image to local is not supported."),
        ({"block_device_mapping_v2": [device(boot_index=1)]}, "Mapping image to local is not supported."),
        ({"block_device_mapping_v2": [device(boot_index=None)]}, "Mapping image to local is not supported."),
        ({"block_device_mapping_v2": [device(), device(boot_index=1)]}, "Mapping image to local is not supported."),
        ({"block_device_mapping_v2": [device(), device()]}, "Boot sequence"),
        ({"block_device_mapping_v2": [device(uuid=OTHER_IMAGE)]}, "Boot sequence"),
        (
            {"block_device_mapping_v2": [device(volume_type="fast")]},
            "Specifying a volume_type with destination_type=local",
        ),
        (
            {"block_device_mapping_v2": [device(disk_bus="bogus")]},
            "disk_bus bogus: only virtio is available for a local disk",
        ),
        (
            {"block_device_mapping_v2": [device(device_type="cdrom")]},
            "device_type cdrom: only disk is available for a local disk",
        ),
        ({"block_device_mapping_v2": [device(guest_format="ext4")]}, "guest_format ext4"),
    ],
)
async def test_devices_that_can_not_be(cloud, fields, words):
    answer = await cloud.boot(**fields)
    assert answer.status == 400, answer.content
    assert message(answer).startswith("Block Device Mapping is Invalid: ")
    assert words in message(answer)
    assert await rows(cloud, tables.servers) == []


async def test_the_images_own_disk_can_be_named(cloud):
    assert (await cloud.boot(block_device_mapping_v2=[device(disk_bus="virtio", device_type="disk")])).status == 202
    assert (await cloud.boot(block_device_mapping_v2=[device(boot_index="0")])).status == 202


@pytest.mark.parametrize("at", ["2.1", "2.36", "2.37", "2.104"])
async def test_an_empty_list_of_networks_names_none(cloud, at):
    assert (await cloud.boot(at=at, networks=[])).status == 202
    (row,) = await rows(cloud, tables.request_specs)
    assert NETWORK.encode() in row.spec
    second = network(str(uuid.UUID(int=20)), name="second")
    cloud.networks.held_networks.append(second)
    answer = await cloud.boot(at=at, networks=[])
    assert answer.status == 409
    assert message(answer) == (
        "Multiple possible networks found, use a Network ID to be more specific. Found: "
        f"private ({NETWORK}), second ({second.id})"
    )
    cloud.networks.held_networks.clear()
    assert (await cloud.boot(at=at, networks=[])).status == 202


# keys and quotas


def private_key() -> str:
    key = ed25519.Ed25519PrivateKey.generate()
    form = serialization.PrivateFormat.OpenSSH
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (private_key(), "public_key holds a private key; give the public one"),
        ("-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----", "public_key is in PEM"),
        ("hello", "public_key is not a type such as ssh-ed25519 and a key in base 64"),
        ("ssh-ed25519 AAAA", "its second word is not the base 64 of such a key; it may be cut off"),
        ("ssh-magic AAAA", "keys of type ssh-magic are not supported"),
        ("ssh-ed25519 AAAA comment\nssh-ed25519 BBBB", "public_key has several lines, or control characters"),
        ("ssh-ed25519 AAAA com\x1bment", "public_key has several lines, or control characters"),
        ("ssh-ed25519 AAAA com\rment", "public_key has several lines, or control characters"),
    ],
)
async def test_why_a_key_is_none(cloud, key, words):
    answer = await cloud("POST", "/os-keypairs", json={"keypair": {"name": "k", "public_key": key}})
    assert answer.status == 400, answer.content
    assert message(answer).startswith("Keypair data is invalid: failed to generate fingerprint: ")
    assert words in message(answer)
    secret = key.splitlines()[1] if "PRIVATE" in key else "AAAA"
    assert secret not in message(answer)


async def test_quotas_of_groups_and_keys_name_the_numbers(tmp_path):
    cloud = await make_cloud(
        tmp_path, ComputeOptions(quotas=Quotas(server_groups=1, server_group_members=2, key_pairs=0))
    )
    group = {"server_group": {"name": "g", "policy": "affinity"}}
    group_id = (await cloud("POST", "/os-server-groups", json=group)).json["server_group"]["id"]
    answer = await cloud("POST", "/os-server-groups", json=group)
    assert (answer.status, message(answer)) == (
        403, "Quota exceeded, too many server groups. Requested 1, but already used 1 of 1 server_groups",
    )  # fmt: skip
    hints = {"os:scheduler_hints": {"group": group_id}}
    assert (await cloud.boot(top=hints)).status == 202
    answer = await cloud.boot(top=hints, min_count=2)
    assert (answer.status, message(answer)) == (
        403, "Quota exceeded, too many servers in group. Requested 2, but already used 1 of 2 server_group_members",
    )  # fmt: skip
    answer = await cloud("POST", "/os-keypairs", json={"keypair": {"name": "k"}}, at="2.91")
    assert (answer.status, message(answer)) == (
        403, "Quota exceeded, too many key pairs. Requested 1, but already used 0 of 0 key_pairs",
    )  # fmt: skip
    await cloud.service.stop()
