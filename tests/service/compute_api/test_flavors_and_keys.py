"""Flavors with their extra specs and access lists; key pairs."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

FLAVOR = {"name": "big", "ram": 512, "vcpus": 2, "disk": 5, "id": "big"}


def public_key() -> str:
    key = ed25519.Ed25519PrivateKey.generate().public_key()
    return key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode() + " me@here"


async def test_seeded_flavors(cloud):
    listed = (await cloud("GET", "/flavors/detail")).json["flavors"]
    assert {f["id"]: (f["name"], f["ram"], f["vcpus"], f["disk"]) for f in listed}["42"] == ("m1.nano", 128, 1, 1)
    assert len(listed) == 7
    await cloud.service.start()  # again: no second time
    assert len((await cloud("GET", "/flavors")).json["flavors"]) == 7


async def test_fields_by_version(cloud):
    for at, has, has_not in (
        ("2.1", {"rxtx_factor", "OS-FLV-DISABLED:disabled"}, {"description", "extra_specs"}),
        ("2.55", {"description"}, {"extra_specs"}),
        ("2.61", {"extra_specs", "rxtx_factor"}, set()),
        ("2.102", {"extra_specs"}, {"rxtx_factor", "OS-FLV-DISABLED:disabled"}),
    ):
        shown = (await cloud("GET", "/flavors/42", at)).json["flavor"]
        assert has <= set(shown), at
        assert not has_not & set(shown), at
        assert shown["swap"] == ("" if at in ("2.1", "2.55", "2.61") else 0)


async def test_life_of_a_flavor(cloud):
    assert (await cloud("POST", "/flavors", json={"flavor": FLAVOR})).status == 403
    made = await cloud("POST", "/flavors", token="admin", json={"flavor": FLAVOR | {"ram": "512", "description": "d"}})
    assert (made.status, made.json["flavor"]["description"]) == (200, "d")
    assert (await cloud("POST", "/flavors", token="admin", json={"flavor": FLAVOR})).status == 409
    assert (await cloud("POST", "/flavors", token="admin", json={"flavor": FLAVOR | {"id": "other"}})).status == 409
    changed = await cloud("PUT", "/flavors/big", token="admin", json={"flavor": {"description": None}})
    assert changed.json["flavor"]["description"] is None
    assert (await cloud("PUT", "/flavors/big", "2.54", "admin", json={"flavor": {"description": None}})).status == 404
    specs = "/flavors/big/os-extra_specs"
    body = {"extra_specs": {"hw:cpu_policy": "dedicated", "n": 2}}
    assert (await cloud("POST", specs, token="admin", json=body)).json["extra_specs"]["n"] == "2"
    assert (await cloud("GET", f"{specs}/hw:cpu_policy")).json == {"hw:cpu_policy": "dedicated"}
    assert (await cloud("PUT", f"{specs}/n", token="admin", json={"n": "3"})).json == {"n": "3"}
    assert (await cloud("PUT", f"{specs}/n", token="admin", json={"m": "3"})).status == 400
    assert (await cloud("DELETE", f"{specs}/n", token="admin")).status == 200
    assert (await cloud("DELETE", f"{specs}/n", token="admin")).status == 404
    assert (await cloud("GET", specs)).json == {"extra_specs": {"hw:cpu_policy": "dedicated"}}
    assert (await cloud("DELETE", "/flavors/big", token="admin")).status == 202
    assert (await cloud("GET", "/flavors/big")).status == 404


@pytest.mark.parametrize("change", [
    {"ram": 0}, {"vcpus": "x"}, {"disk": -1}, {"name": ""}, {"name": "a\x07"}, {"id": "a/b"}, {"ram": 1.5}, {"ram": 2**31},
    {"colour": 1}, {"rxtx_factor": 1}, {"os-flavor-access:is_public": "perhaps"},
])  # fmt: skip
async def test_wrong_flavors(cloud, change):
    assert (await cloud("POST", "/flavors", token="admin", json={"flavor": FLAVOR | change})).status == 400


async def test_private_flavors(cloud):
    await cloud("POST", "/flavors", token="admin", json={"flavor": FLAVOR | {"os-flavor-access:is_public": False}})
    no_access = await cloud("GET", "/flavors/big/os-flavor-access", token="admin")
    assert no_access.json == {"flavor_access": []}
    assert (await cloud("GET", "/flavors/big")).status == 404
    assert (await cloud.boot(flavorRef="big")).status == 400
    grant = {"addTenantAccess": {"tenant": "1" * 32}}
    assert (await cloud("POST", "/flavors/big/action", json=grant)).status == 403
    granted = await cloud("POST", "/flavors/big/action", token="admin", json=grant)
    assert {"flavor_id": "big", "tenant_id": "1" * 32} in granted.json["flavor_access"]
    assert (await cloud("POST", "/flavors/big/action", token="admin", json=grant)).status == 409
    assert (await cloud("GET", "/flavors/big")).status == 200
    assert "big" in {f["id"] for f in (await cloud("GET", "/flavors")).json["flavors"]}
    assert "big" not in {f["id"] for f in (await cloud("GET", "/flavors", token="foreign")).json["flavors"]}
    revoke = {"removeTenantAccess": {"tenant": "1" * 32}}
    assert (await cloud("POST", "/flavors/big/action", token="admin", json=revoke)).status == 200
    assert (await cloud("POST", "/flavors/big/action", token="admin", json=revoke)).status == 404
    assert (await cloud("GET", "/flavors/42/os-flavor-access", token="admin")).status == 404
    public = (await cloud("GET", "/flavors", token="admin")).json["flavors"]
    every = (await cloud("GET", "/flavors?is_public=None", token="admin")).json["flavors"]
    assert len(every) == len(public) + 1


async def test_flavor_lists(cloud):
    async def ids(query):
        answer = await cloud("GET", f"/flavors?{query}")
        return [f["id"] for f in answer.json["flavors"]] if answer.status == 200 else answer.status

    assert await ids("minRam=4096&sort_key=memory_mb") == ["3", "4", "5"]
    assert await ids("minDisk=80&sort_key=memory_mb&sort_dir=desc") == ["5", "4"]
    assert await ids("limit=2&sort_key=memory_mb") == ["42", "84"]
    assert await ids("limit=2&sort_key=memory_mb&marker=84") == ["1", "2"]
    for query in ("minRam=x", "limit=-1", "marker=nope", "sort_key=nope", "sort_dir=up"):
        assert await ids(query) == 400


async def test_imported_keys(cloud):
    key = {"name": "mine", "public_key": public_key()}
    made = await cloud("POST", "/os-keypairs", json={"keypair": key})
    assert made.status == 201
    pair = made.json["keypair"]
    assert (pair["type"], pair["user_id"], "private_key" in pair) == ("ssh", "demo", False)
    assert len(pair["fingerprint"].split(":")) == 16
    assert (await cloud("POST", "/os-keypairs", json={"keypair": key})).status == 409
    shown = (await cloud("GET", "/os-keypairs/mine")).json["keypair"]
    assert shown["public_key"] == key["public_key"]
    assert (await cloud("GET", "/os-keypairs/mine", token="foreign")).status == 404
    assert (await cloud("GET", "/os-keypairs/mine?user_id=demo", token="admin")).status == 200
    assert (await cloud.boot(key_name="mine")).status == 202
    assert (await cloud("DELETE", "/os-keypairs/mine")).status == 204
    assert (await cloud("DELETE", "/os-keypairs/mine")).status == 404


async def test_generated_keys_until_2_91(cloud):
    made = await cloud("POST", "/os-keypairs", "2.1", json={"keypair": {"name": "made"}})
    assert made.status == 200
    pair = made.json["keypair"]
    assert pair["private_key"].startswith("-----BEGIN RSA PRIVATE KEY-----")
    assert "type" not in pair
    assert "private_key" not in (await cloud("GET", "/os-keypairs/made")).json["keypair"]
    x509 = await cloud("POST", "/os-keypairs", "2.91", json={"keypair": {"name": "cert", "type": "x509"}})
    assert x509.json["keypair"]["public_key"].startswith("-----BEGIN CERTIFICATE-----")
    assert (await cloud("POST", "/os-keypairs", "2.92", json={"keypair": {"name": "no"}})).status == 400


@pytest.mark.parametrize("change", [
    {"public_key": "ssh-rsa AAAA"}, {"public_key": "hello"}, {"public_key": ""},
    {"public_key": public_key() + "\n" + public_key()},
    {"name": "../x"}, {"name": ""}, {"name": "<b>"}, {"type": "gpg"}, {"public_key": 7},
    {"type": "x509", "public_key": public_key()},
])  # fmt: skip
async def test_wrong_keys(cloud, change):
    key = {"name": "k", "public_key": public_key()} | change
    answer = await cloud("POST", "/os-keypairs", json={"keypair": key})
    assert answer.status == 400, answer.content


async def test_key_lists(cloud):
    for n in range(3):
        await cloud("POST", "/os-keypairs", json={"keypair": {"name": f"k{n}", "public_key": public_key()}})
    first = (await cloud("GET", "/os-keypairs?limit=2")).json
    assert [item["keypair"]["name"] for item in first["keypairs"]] == ["k0", "k1"]
    second = (await cloud("GET", first["keypairs_links"][0]["href"].split("/v2.1")[1])).json
    assert [item["keypair"]["name"] for item in second["keypairs"]] == ["k2"]
    assert (await cloud("GET", "/os-keypairs", token="foreign")).json == {"keypairs": []}
