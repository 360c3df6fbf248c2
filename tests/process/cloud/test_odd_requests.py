"""What every service refuses before it looks at what is asked: text that databases treat each in its way, bodies that are no
JSON, paths that mean another place; and what a client leaves behind that hangs up."""

from __future__ import annotations

import http.client
import json
import socket
import time
from typing import Any

import httpx
import pytest

from tests.process.cloud.harness import Api, CloudProcess

CREATES: dict[str, tuple[str, str, Any]] = {
    "compute": ("compute", "/os-keypairs", {"keypair": {"name": "TEXT"}}),
    "network": ("network", "/networks", {"network": {"name": "TEXT"}}),
    "image": ("image", "/images", {"name": "TEXT"}),
    "identity": ("identity", "/projects", {"project": {"name": "TEXT"}}),
    "placement": ("placement", "/resource_providers", {"name": "TEXT"}),
}
LISTS = {
    "compute": ("/servers?name=", "/servers/"), "network": ("/networks?name=", "/networks/"),
    "image": ("/images?name=", "/images/"), "identity": ("/projects?name=", "/projects/"),
    "placement": ("/resource_providers?name=", "/resource_providers/"),
}  # fmt: skip
BODIES = {
    "a NUL": b"a\\u0000b", "a NUL behind a backslash": b"a\\\\\\u0000", "a raw NUL": b"a\0b", "half a surrogate pair": b"\\ud800",
    "the other half": b"\\udc00x", "no UTF-8": b"a\xff", "a surrogate in UTF-8": b"\xed\xa0\x80", "a raw newline": b"a\nb",
}  # fmt: skip


@pytest.fixture(scope="module")
def admin(cloud: CloudProcess) -> Api:
    return cloud.api()


def listing(admin: Api, service: str) -> Any:
    return admin.ok("GET", service, LISTS[service][0].partition("?")[0])


def post(admin: Api, service: str, content: bytes, kind: str | None = "application/json") -> httpx.Response:
    name, path, _ = CREATES[service]
    return admin("POST", name, path, content=content, headers={"Content-Type": kind} if kind else {})


def body_of(service: str, text: bytes) -> bytes:
    return json.dumps(CREATES[service][2]).encode().replace(b"TEXT", text)


@pytest.mark.parametrize("service", CREATES)
@pytest.mark.parametrize("text", BODIES.values(), ids=BODIES)
def test_text_that_is_none(admin: Api, service: str, text: bytes) -> None:
    before = listing(admin, service)
    answer = post(admin, service, body_of(service, text))
    assert answer.status_code == 400, answer.text
    assert answer.json()
    assert listing(admin, service) == before


@pytest.mark.parametrize("service", ["network", "image", "identity"])
def test_a_backslash_before_u0000_is_text(admin: Api, service: str) -> None:
    answer = post(admin, service, body_of(service, b"a\\\\u0000" + str(time.monotonic_ns()).encode()))
    assert answer.status_code == 201, answer.text
    assert "a\\\\u0000" in answer.text


@pytest.mark.parametrize("service", LISTS)
@pytest.mark.parametrize("text", ["a%00b", "%ff", "%ed%a0%80"])
def test_targets_hold_text(admin: Api, service: str, text: str) -> None:
    for place in LISTS[service]:
        answer = admin("GET", service, place + text)
        assert answer.status_code == 400, f"{place}: {answer.status_code} {answer.text}"


@pytest.mark.parametrize("service", CREATES)
@pytest.mark.parametrize(
    "kind", ["application/xml", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
def test_bodies_are_json(admin: Api, service: str, kind: str) -> None:
    before = listing(admin, service)
    answer = post(admin, service, body_of(service, b"typed"), kind)
    assert answer.status_code == 415, answer.text
    assert kind.partition(";")[0] in answer.text
    assert listing(admin, service) == before


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=UTF-8", "Application/JSON", None])
def test_json_goes_by_several_names(admin: Api, kind: str | None) -> None:
    answer = post(admin, "network", body_of("network", b"typed"), kind)
    assert answer.status_code == 201, answer.text


def test_a_request_without_a_body_may_name_any_type(admin: Api) -> None:
    for method in ("GET", "DELETE"):
        answer = admin(method, "network", "/networks/nope", headers={"Content-Type": "text/plain"})
        assert answer.status_code == 404


@pytest.mark.parametrize("service", CREATES)
@pytest.mark.parametrize("depth", [40, 950, 2000, 100_000])
def test_nesting_has_an_end(admin: Api, service: str, depth: int) -> None:
    body = json.loads(json.dumps(CREATES[service][2]))
    inner = next((value for value in body.values() if isinstance(value, dict)), body)
    inner["deep"] = "DEEP"
    content = json.dumps(body).encode().replace(b'"DEEP"', b"[" * depth + b"]" * depth)
    assert post(admin, service, content).status_code in (400, 413)


NUMBERS = [
    ("compute", "/flavors", {"flavor": {"name": "n", "vcpus": 1, "ram": "N", "disk": 1}}),
    ("compute", "/flavors", {"flavor": {"name": "n", "vcpus": "N", "ram": 1, "disk": 1}}),
    ("network", "/networks", {"network": {"name": "n", "mtu": "N"}}),
    ("image", "/images", {"name": "n", "min_disk": "N"}),
    ("image", "/images", {"name": "n", "min_ram": "N"}),
]


@pytest.mark.parametrize("number", [2**31, 2**63, 2**64, 10**30])
@pytest.mark.parametrize(("service", "path", "body"), NUMBERS, ids=[f"{n}" for n in range(len(NUMBERS))])
def test_numbers_fit_their_columns(admin: Api, service: str, path: str, body: Any, number: int) -> None:
    content = json.dumps(body).replace('"N"', str(number)).encode()
    answer = admin("POST", service, path, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400, answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/servers?limit=N",
        "/servers?changes-since=N",
        "/flavors?minRam=N",
        "/flavors?minDisk=N",
        "/os-hypervisors?limit=N",
    ],
)
def test_numbers_in_queries(admin: Api, path: str) -> None:
    for number in (2**63, 10**30):
        assert admin("GET", "compute", path.replace("N", str(number))).status_code in (200, 400), path


@pytest.mark.parametrize(
    "given",
    [
        "x" * 20_000,
        "req-",
        "req-1",
        "req-" + "a" * 36,
        "req-5f0c7f0e-0000-4000-8000-000000000000x",
        "5f0c7f0e-0000-4000-8000-000000000000",
    ],
)
def test_only_request_ids_are_taken_for_such(admin: Api, given: str) -> None:
    answer = admin(
        "POST", "network", "/networks", {"network": {"name": "asked"}}, headers={"X-Openstack-Request-Id": given}
    )
    assert answer.status_code == 201
    assert answer.headers["X-Openstack-Request-Id"] != given
    assert len(answer.headers["X-Openstack-Request-Id"]) == 40


@pytest.mark.parametrize(
    "path",
    ["/compute/../identity/v3", "/compute/%2e%2e/identity/v3", "/./identity/v3", "/identity/..",
     "/compute/%252e%252e/identity/v3",
     "/compute\\..\\identity/v3", "/metadata/..%2fidentity/v3"],
)  # fmt: skip
def test_dot_segments_lead_nowhere(cloud: CloudProcess, path: str) -> None:
    with socket.create_connection(("127.0.0.1", cloud.port)) as connection:  # clients would resolve them
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 400 ")


def test_a_client_that_hangs_up_leaves_a_line_at_most(cloud: CloudProcess, admin: Api) -> None:
    """In an upload, in a body of JSON, before its answer, in a download and in a long list."""
    large = admin.image("large", b"\0" * (8 << 20))
    queued = admin.ok("POST", "image", "/images", {"name": "queued", "disk_format": "raw", "container_format": "bare"})
    before = len(cloud.log.read_text().splitlines())
    token = f"X-Auth-Token: {admin.token}\r\nHost: x\r\n"
    said = [
        f"PUT /image/v2/images/{queued['id']}/file HTTP/1.1\r\n{token}Content-Type: application/octet-stream\r\n"
        "Content-Length: 1000000\r\n\r\nabc",
        f"PUT /image/v2/images/{queued['id']}/file HTTP/1.1\r\n{token}Content-Type: application/octet-stream\r\n"
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        *(f"POST /{service}/{path} HTTP/1.1\r\n{token}Content-Length: 100\r\n\r\n" + '{"a":'
          for service, path in (("compute", "v2.1/servers"), ("network", "v2.0/networks"), ("identity", "v3/auth/tokens"),
                                ("image", "v2/images"), ("placement", "resource_providers"))),
        f"GET /image/v2/images/{large}/file HTTP/1.1\r\n{token}\r\n",
        f"GET /compute/v2.1/servers/detail HTTP/1.1\r\n{token}\r\n",
        f"GET /ops/verify HTTP/1.1\r\n{token}\r\n",
    ]  # fmt: skip
    for words in said:
        for read in (False, True):
            with socket.create_connection(("127.0.0.1", cloud.port)) as connection:
                connection.sendall(words.encode())
                if read and words.startswith("GET"):
                    connection.recv(1000)
                time.sleep(0.1)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # closed by a reset
    assert admin.ok("GET", "image", f"/images/{queued['id']}")["status"] in ("queued", "saving")
    time.sleep(0.5)
    lines = cloud.log.read_text().splitlines()[before:]
    assert len(lines) <= 2 * len(said), "\n".join(lines)
    assert not [line for line in lines if "Traceback" in line or " error " in line], "\n".join(lines)


def test_the_server_has_bounds(cloud: CloudProcess) -> None:
    """Those of tests/service/core/test_server.py, in the process that a user starts."""
    with socket.create_connection(("127.0.0.1", cloud.port), timeout=120) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 10_000)
        assert connection.recv(1000).startswith(b"HTTP/1.1 431 ")
    half = [socket.create_connection(("127.0.0.1", cloud.port)) for _ in range(100)]
    for connection in half:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
    assert httpx.get(cloud.url, trust_env=False, timeout=120).status_code == 200
    for connection in half:
        connection.close()


def test_an_idle_connection_is_kept(cloud: CloudProcess) -> None:
    """For longer than clients pause that look every five seconds."""
    connection = http.client.HTTPConnection("127.0.0.1", cloud.port, timeout=120)
    connection.auto_open = 0  # type: ignore[assignment]
    connection.connect()
    for pause in (6, 0):
        connection.request("GET", "/")
        answer = connection.getresponse()
        assert (answer.status, bool(answer.read())) == (200, True)
        time.sleep(pause)
    connection.close()
