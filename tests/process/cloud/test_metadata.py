"""What the metadata service answers to an agent's proxy, which signs which server asks."""

from __future__ import annotations

import base64
import gzip
import json

import httpx
import pytest

from kilonova.network.agent.metadata_signature import INSTANCE_ID, SIGNATURE, TENANT_ID, sign_instance
from tests.eventually import eventually
from tests.process.cloud.harness import Api, CloudProcess

SCRIPT = "#!/bin/sh\necho naïve ☃\n".encode()


def ask(
    cloud: CloudProcess, api: Api, server: str, path: str, left: bytes | None = None, *, method: str = "", **more: str
) -> httpx.Response:
    secret = json.loads((cloud.state / "secrets.json").read_text())["metadata_secret"]
    signed = {
        INSTANCE_ID: server, TENANT_ID: api.project_id, SIGNATURE: sign_instance(secret, server, api.project_id),
        "Accept-Encoding": "identity",
    } | {name.replace("_", "-"): value for name, value in more.items()}  # fmt: skip
    method, url = method or ("GET" if left is None else "POST"), f"{cloud.url}/metadata{path}"
    return httpx.request(method, url, headers=signed, content=left, trust_env=False, timeout=120)


@pytest.mark.parametrize(
    ("content", "kind"),
    [(SCRIPT, "text/plain; charset=utf-8"), (gzip.compress(SCRIPT), "application/octet-stream"),
     (b"\xff\xfe latin", "application/octet-stream"), (b"zero \0 byte", "application/octet-stream")],
    ids=["text", "gzip", "no UTF-8", "NUL"],
)  # fmt: skip
def test_content_types(cloud: CloudProcess, content: bytes, kind: str) -> None:
    api = cloud.api("demo")
    server = api.launch(api.image("x"), user_data=base64.b64encode(content).decode())
    api.wait(server, "ACTIVE")
    for path in ("/latest/user-data", "/openstack/latest/user_data"):
        answer = ask(cloud, api, server, path)
        assert (answer.status_code, answer.content) == (200, content), path
        assert answer.headers.get_list("content-type") == [kind], path
    for path in ("/", "/latest/meta-data/", "/latest/meta-data/instance-id", "/openstack"):
        answer = ask(cloud, api, server, path)
        assert answer.status_code == 200, path
        assert answer.headers.get_list("content-type") == ["text/plain; charset=utf-8"], path
    answer = ask(cloud, api, server, "/openstack/latest/meta_data.json")
    assert answer.headers.get_list("content-type") == ["application/json"]
    api.ok("DELETE", "compute", f"/servers/{server}")


def test_only_reading_there(cloud: CloudProcess) -> None:
    api = cloud.api("demo")
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert httpx.request(method, f"{cloud.url}/metadata/latest", trust_env=False).status_code == 405, method
    assert ask(cloud, api, "5f0c7f0e-0000-4000-8000-000000000000", "/latest/").status_code == 404


def test_tokens_of_the_second_version(cloud: CloudProcess) -> None:
    api = cloud.api("demo")
    metadata = {"ec2:http-tokens": "required", "ec2:http-hop-limit": "2"}
    strict, plain = api.launch(api.image("x"), metadata=metadata), api.launch(api.image("x"))
    for server in (strict, plain):
        api.wait(server, "ACTIVE")
    path, life = "/latest/meta-data/instance-id", "X_aws_ec2_metadata_token_ttl_seconds"
    assert ask(cloud, api, strict, path).status_code == 401
    assert ask(cloud, api, plain, path).status_code == 200
    made = ask(cloud, api, strict, "/latest/api/token", method="PUT", **{life: "60"})
    assert (made.status_code, made.headers["x-aws-ec2-metadata-token-ttl-seconds"]) == (200, "60")
    assert made.headers["x-aws-ec2-metadata-hop-limit"] == "2"
    token = {"X_aws_ec2_metadata_token": made.text}
    assert ask(cloud, api, strict, path, **token).status_code == 200
    assert ask(cloud, api, plain, path, **token).status_code == 401  # another's
    assert ask(cloud, api, plain, path, X_aws_ec2_metadata_token="nonsense").status_code == 401
    for wrong in ("0", "21601", "", "x", "1.5", "-1"):
        assert ask(cloud, api, strict, "/latest/api/token", method="PUT", **{life: wrong}).status_code == 400, wrong
    soon = ask(cloud, api, strict, "/latest/api/token", method="PUT", **{life: "1"}).text
    eventually(
        lambda: ask(cloud, api, strict, path, X_aws_ec2_metadata_token=soon).status_code, "it does not end",
        satisfies=lambda status: status == 401,
    )  # fmt: skip
    for server in (strict, plain):
        api.ok("DELETE", "compute", f"/servers/{server}")


def test_a_guest_leaves_its_password(cloud: CloudProcess) -> None:
    api = cloud.api("demo")
    server = api.launch(api.image("x"))
    api.wait(server, "ACTIVE")
    path, shown = "/openstack/latest/password", f"/servers/{server}/os-server-password"
    assert api.ok("GET", "compute", shown) == {"password": ""}
    assert ask(cloud, api, server, path, b"x" * 1021).status_code == 413
    assert ask(cloud, api, server, path, b"\xff").status_code == 400
    assert ask(cloud, api, server, path, b"encrypted==").status_code == 200
    assert ask(cloud, api, server, "/openstack/2013-04-04/password", b"another").status_code == 409
    assert api.ok("GET", "compute", shown) == {"password": "encrypted=="}
    assert ask(cloud, api, server, "/openstack/latest/meta_data.json", b"x").status_code == 405
    assert api("DELETE", "compute", shown).status_code == 204
    assert api.ok("GET", "compute", shown) == {"password": ""}
    assert ask(cloud, api, server, path, b"another").status_code == 200
    topology = api.ok("GET", "compute", f"/servers/{server}/topology")
    assert topology == {"nodes": [], "pagesize_kb": None}
