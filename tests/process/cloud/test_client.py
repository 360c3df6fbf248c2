"""The real `openstack` client against a whole cloud (the Makefile installs it into an environment of its own)."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.eventually import eventually
from tests.process.cloud.harness import PASSWORD, CloudProcess

CLIENT = Path(os.environ.get("CLIENT", ".venv-client")) / "bin" / "openstack"


class Client:
    def __init__(self, cloud: CloudProcess, user: str) -> None:
        self.env = os.environ | {
            "OS_AUTH_URL": f"{cloud.url}/identity/v3", "OS_USERNAME": user, "OS_PASSWORD": PASSWORD,
            "OS_PROJECT_NAME": user, "OS_USER_DOMAIN_NAME": "Default", "OS_PROJECT_DOMAIN_NAME": "Default",
            "OS_IDENTITY_API_VERSION": "3", "PYTHONWARNINGS": "ignore",
        }  # fmt: skip

    def __call__(self, *words: str) -> Any:
        """What the client printed as JSON; None where it printed nothing."""
        done = subprocess.run([str(CLIENT), *words], env=self.env, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
        return json.loads(done.stdout) if done.stdout.strip() else None

    def refused(self, *words: str) -> str:
        """What the client says of what it could not do."""
        done = subprocess.run([str(CLIENT), *words], env=self.env, capture_output=True, text=True, timeout=120)
        assert done.returncode != 0
        return done.stderr


@pytest.fixture(scope="module")
def client(cloud: CloudProcess) -> Client:
    if not CLIENT.exists():
        if os.environ.get("CI"):
            pytest.fail(f"no client at {CLIENT}: `make client` installs it")
        pytest.skip(f"no client at {CLIENT}: `make client` installs it")
    return Client(cloud, "demo")


def test_a_launch_with_the_real_client(client: Client, tmp_path: Path) -> None:
    (tmp_path / "disk.img").write_bytes(b"\0" * (1 << 20))
    image = client("image", "create", "img", "--disk-format", "raw", "--file", str(tmp_path / "disk.img"), "-f", "json")
    assert image["name"] == "img"
    client("network", "create", "net", "-f", "json")
    client("subnet", "create", "sub", "--network", "net", "--subnet-range", "10.9.0.0/24", "-f", "json")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    client("keypair", "create", "key", "--public-key", str(tmp_path / "key.pub"), "-f", "json")
    client("security", "group", "rule", "create", "default", "--protocol", "tcp", "--dst-port", "22", "-f", "json")
    made = client(
        "server", "create", "vm", "--image", "img", "--flavor", "m1.nano", "--network", "net", "--key-name", "key",
        "--wait", "-f", "json",
    )  # fmt: skip
    assert made["status"] == "ACTIVE"
    assert made["addresses"]["net"][0].startswith("10.9.0.")
    (event,) = client("server", "event", "list", "vm", "-f", "json")
    assert event["Action"] == "create"
    for action, status in (("pause", "PAUSED"), ("unpause", "ACTIVE"), ("suspend", "SUSPENDED"), ("resume", "ACTIVE")):
        client("server", action, "vm")
        eventually(lambda: client("server", "show", "vm", "-f", "json")["status"] == status, f"{action}: not {status}")  # noqa: B023
    client("server", "add", "network", "vm", "net")
    assert len(client("server", "show", "vm", "-f", "json")["addresses"]["net"]) == 2
    console = client("console", "url", "show", "vm", "-f", "json")
    assert (console["protocol"], console["type"]) == ("vnc", "novnc")
    assert "/console/vnc_lite.html?path=" in console["url"]
    assert client("console", "url", "show", "--serial", "vm", "-f", "json")["url"].startswith("ws://")
    client("--os-compute-api-version", "2.17", "server", "dump", "create", "vm")
    client("server", "stop", "vm")
    client("server", "delete", "--wait", "vm")
    assert client("server", "list", "-f", "json") == []


def test_an_unknown_flavor_is_named_in_the_error(client: Client) -> None:
    assert "nosuch" in client.refused(
        "server", "create", "x", "--image", "img", "--flavor", "nosuch", "--network", "none"
    )
