"""Requests signed by Amazon's own library with an EC2 credential become tokens; what was changed, or is old, does not."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest
from botocore import auth as botocore_auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from kilonova.identity.signatures import Signed, authorization
from tests.service.identity.conftest import Identity
from tests.service.identity.test_credentials import Scene
from tests.support import Answer

URL = "http://cloud.example:8773/ec2/"
FORM = {"Action": "DescribeInstances", "Version": "2016-11-15", "Filter.1.Name": "tag:a b", "Filter.1.Value.1": "é/~*"}
Keys = dict[str, Any]


@pytest.fixture
async def scene(identity: Identity) -> Scene:
    return await Scene(identity).prepare()


@pytest.fixture
async def keys(scene: Scene) -> Keys:
    body = {"tenant_id": scene.projects["a"]}
    answer = await scene.identity.api("POST", scene.ec2, body, token=scene.token)
    return dict(answer.json["credential"])


@pytest.fixture
async def service(identity: Identity) -> str:
    return await identity.login("kilonova", "service-pw", "service")


def shown(request: AWSRequest, keys: Keys, params: dict[str, str], signature: str) -> dict[str, Any]:
    """What a service that received the request tells identity of it."""
    prepared = request.prepare()
    parts = urlsplit(prepared.url)
    body = prepared.body or b""
    return {
        "access": keys["access"], "signature": signature, "host": parts.netloc, "verb": request.method, "path": parts.path,
        "params": params, "headers": {key: str(value) for key, value in prepared.headers.items()} | {"Host": parts.netloc},
        "body_hash": hashlib.sha256(body if isinstance(body, bytes) else body.encode()).hexdigest(),
    }  # fmt: skip


def v4(keys: Keys, moment: dt.datetime | None = None) -> dict[str, Any]:
    request = AWSRequest("POST", URL, data=FORM, headers={"Content-Type": "application/x-www-form-urlencoded"})
    with at(moment):
        botocore_auth.SigV4Auth(Credentials(keys["access"], keys["secret"]), "ec2", "RegionOne").add_auth(request)
    said = request.headers["Authorization"]
    return shown(request, keys, FORM, said.rpartition("Signature=")[2])


def presigned(keys: Keys, moment: dt.datetime | None = None) -> dict[str, Any]:
    request = AWSRequest("GET", URL, params=FORM)
    signer = botocore_auth.SigV4QueryAuth(Credentials(keys["access"], keys["secret"]), "ec2", "RegionOne", expires=60)
    with at(moment):
        signer.add_auth(request)
    params = dict(parse_qsl(urlsplit(request.url).query))
    return shown(request, keys, params, params["X-Amz-Signature"])


def v2(keys: Keys, moment: dt.datetime | None = None) -> dict[str, Any]:
    request = AWSRequest("GET", URL, params=dict(FORM))
    signer = botocore_auth.SigV2Auth(Credentials(keys["access"], keys["secret"]))
    time = (moment or dt.datetime.now(dt.UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
    params = FORM | {
        "SignatureVersion": "2", "SignatureMethod": "HmacSHA256", "AWSAccessKeyId": keys["access"], "Timestamp": time,
    }  # fmt: skip
    _, signature = signer.calc_signature(request, params)
    return shown(request, keys, params | {"Signature": signature}, signature)


def at(moment: dt.datetime | None) -> Any:
    """The time that the library signs."""
    now = moment or dt.datetime.now(dt.UTC)
    return patch.multiple(botocore_auth, get_current_datetime=lambda *_, **__: now)


SIGNERS: list[Callable[..., dict[str, Any]]] = [v4, presigned, v2]


async def login(identity: Identity, signed: dict[str, Any], token: str, name: str = "credentials") -> Answer:
    return await identity.api("POST", "/ec2tokens", {name: signed}, token=token)


@pytest.mark.parametrize("sign", SIGNERS)
async def test_a_signed_request_is_a_login(
    scene: Scene, keys: Keys, service: str, sign: Callable[..., dict[str, Any]]
) -> None:
    for name in ("credentials", "credential", "ec2Credentials"):
        answer = await login(scene.identity, sign(keys), service, name)
        assert answer.status == 200, answer.content
        token = answer.json["token"]
        assert (token["user"]["id"], token["project"]["id"]) == (scene.user, scene.projects["a"])
        assert "member" in [role["name"] for role in token["roles"]]
        own = answer.headers["x-subject-token"]
        shown = await scene.identity.call(
            "GET", "/identity/v3/auth/tokens", token=own, headers={"x-subject-token": own}
        )
        assert shown.json["token"]["methods"] == ["ec2credential"]


def changes(signed: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield signed | {"signature": signed["signature"][:-2] + "aa"}
    yield signed | {"signature": ""}
    yield signed | {"signature": "é"}
    yield signed | {"verb": "PUT"}
    yield signed | {"path": "/other"}
    yield signed | {"access": "0" * 32}
    yield signed | {"host": "other.example", "headers": signed["headers"] | {"Host": "other.example"}}
    if signed["verb"] == "GET":
        yield signed | {"params": signed["params"] | {"Action": "TerminateInstances"}}
        yield signed | {"params": signed["params"] | {"More": "1"}}
    else:
        yield signed | {"body_hash": hashlib.sha256(b"other").hexdigest()}
        yield signed | {"headers": {}}


@pytest.mark.parametrize("sign", SIGNERS)
async def test_what_was_changed_is_refused_and_says_nothing(
    scene: Scene, keys: Keys, service: str, sign: Callable[..., dict[str, Any]]
) -> None:
    texts = set()
    for signed in [*changes(sign(keys)), sign(keys | {"secret": "f" * 32})]:
        answer = await login(scene.identity, signed, service)
        assert answer.status == 401, signed
        texts.add(answer.content)
    assert len(texts) == 1


@pytest.mark.parametrize("sign", SIGNERS)
@pytest.mark.parametrize(("minutes", "status"), [(-14, 200), (-16, 401), (14, 200), (16, 401)])
async def test_the_window_of_time(
    scene: Scene, keys: Keys, service: str, sign: Callable[..., dict[str, Any]], minutes: int, status: int
) -> None:
    if sign is presigned and minutes == -14:
        status = 401  # it was made for 60 seconds
    signed = sign(keys, dt.datetime.now(dt.UTC) + dt.timedelta(minutes=minutes))
    assert (await login(scene.identity, signed, service)).status == status


async def test_a_request_without_a_time_is_never_timely(scene: Scene, keys: Keys, service: str) -> None:
    request = AWSRequest("GET", URL, params=dict(FORM))
    params = FORM | {"SignatureVersion": "2", "SignatureMethod": "HmacSHA256", "AWSAccessKeyId": keys["access"]}
    _, signature = botocore_auth.SigV2Auth(Credentials(keys["access"], keys["secret"])).calc_signature(request, params)
    signed = shown(request, keys, params | {"Signature": signature}, signature)
    assert (await login(scene.identity, signed, service)).status == 401


async def test_only_the_time_that_was_signed_counts(scene: Scene, keys: Keys, service: str) -> None:
    """Whoever has seen an old request can add what was not signed."""
    now = dt.datetime.now(dt.UTC)
    old, fresh = now - dt.timedelta(minutes=30), now.strftime("%Y%m%dT%H%M%SZ")
    headers, params = v4(keys, old), presigned(keys, old)
    signed_at = old.strftime("%Y%m%dT%H%M%SZ")
    for added in (
        headers
        | {"params": headers["params"] | {"X-Amz-Date": signed_at}}
        | {"headers": headers["headers"] | {"X-Amz-Date": fresh}},
        headers | {"params": headers["params"] | {"X-Amz-Date": signed_at, "X-Amz-Expires": "604800"}},
        params | {"headers": params["headers"] | {"x-amz-date": fresh}},
    ):  # fmt: skip
        assert (await login(scene.identity, added, service)).status == 401, added


async def test_only_services_may_ask(scene: Scene, keys: Keys) -> None:
    for path in ("/ec2tokens", "/s3tokens"):
        answer = await scene.identity.api("POST", path, {"credentials": v4(keys)}, token=scene.token)
        assert answer.status == 403
        assert (await scene.identity.api("POST", path, {"credentials": v4(keys)}, token=None)).status == 401


@pytest.mark.parametrize("body", [{}, {"credentials": None}, {"credentials": {}}, {"credentials": {"access": 1}}, []])
async def test_what_is_no_signed_request(scene: Scene, service: str, body: Any) -> None:
    for path in ("/ec2tokens", "/s3tokens"):
        assert (await scene.identity.api("POST", path, body, token=service)).status in (400, 401)


async def test_such_a_token_makes_no_credentials_and_no_tokens(scene: Scene, keys: Keys, service: str) -> None:
    identity = scene.identity
    token = (await login(identity, v4(keys), service)).headers["x-subject-token"]
    body = {"tenant_id": scene.projects["a"]}
    assert (await identity.api("POST", scene.ec2, body, token=token)).status == 403
    await scene.application_credential(token, "x", 403)
    again = {
        "identity": {"methods": ["token"], "token": {"id": token}},
        "scope": {"project": {"id": scene.projects["b"]}},
    }
    assert (await identity.call("POST", "/identity/v3/auth/tokens", token=None, json={"auth": again})).status == 403


async def test_the_key_of_an_application_credential_gives_its_rights_alone(scene: Scene, service: str) -> None:
    made = await scene.application_credential(scene.token, "all", unrestricted=True, roles=[{"name": "member"}])
    token = await scene.login(made)
    answer = await scene.identity.api("POST", scene.ec2, {"tenant_id": scene.projects["a"]}, token=token)
    keys = answer.json["credential"]
    found = (await login(scene.identity, v4(keys), service)).json["token"]
    assert found["application_credential"]["id"] == made["id"]
    assert (await scene.identity.api("DELETE", f"{scene.own}/{made['id']}", token=scene.token)).status == 204
    assert (await login(scene.identity, v4(keys), service)).status == 401


async def test_disabled_users_and_deleted_keys(scene: Scene, keys: Keys, service: str) -> None:
    identity, path = scene.identity, f"/users/{scene.user}"
    assert (await identity.api("PATCH", path, {"user": {"enabled": False}})).status == 200
    assert (await login(identity, v4(keys), service)).status == 401
    assert (await identity.api("PATCH", path, {"user": {"enabled": True}})).status == 200
    assert (await login(identity, v4(keys), service)).status == 200
    assert (await identity.api("DELETE", f"{scene.ec2}/{keys['access']}")).status == 204
    assert (await login(identity, v4(keys), service)).status == 401


def s3_text(scope: str = "RegionOne/s3/aws4_request", moment: dt.datetime | None = None) -> str:
    now = moment or dt.datetime.now(dt.UTC)
    return f"AWS4-HMAC-SHA256\n{now:%Y%m%dT%H%M%SZ}\n{now:%Y%m%d}/{scope}\n{'0' * 64}"


def s3_signed(keys: Keys, text: str) -> dict[str, str]:
    key = f"AWS4{keys['secret']}".encode()
    for part in text.split("\n")[2].split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    return {
        "access": keys["access"], "signature": signature, "token": base64.urlsafe_b64encode(text.encode()).decode()
    }  # fmt: skip


async def test_s3(scene: Scene, keys: Keys, service: str) -> None:
    async def status(signed: dict[str, str]) -> int:
        return (await scene.identity.api("POST", "/s3tokens", {"credentials": signed}, token=service)).status

    assert await status(s3_signed(keys, s3_text())) == 200
    assert await status(s3_signed(keys, s3_text()) | {"signature": "0" * 64}) == 401
    assert await status(s3_signed(keys, s3_text(moment=dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)))) == 401
    text = b"GET\n\n\nMon, 30 Nov 2026 12:00:00 GMT\n/bucket"
    old = base64.b64encode(hmac.new(keys["secret"].encode(), text, hashlib.sha1).digest()).decode()
    token = base64.urlsafe_b64encode(text).decode()
    assert await status({"access": keys["access"], "signature": old, "token": token}) == 200
    assert await status({"access": keys["access"], "signature": old, "token": "?"}) == 401


def test_credentials_that_say_too_little() -> None:
    for said in ("", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host", "Basic abc"):
        assert authorization(Signed(access="a", signature="b", headers={"Authorization": said})) is None
    assert (
        msgspec.json.decode(b'{"access": "a", "signature": "b"}', type=Signed).body_hash == hashlib.sha256().hexdigest()
    )
