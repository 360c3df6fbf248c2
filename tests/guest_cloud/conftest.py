"""A cloud with real guests, beside any other that runs on this machine: own state, own chains, own mark on its domains."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kilonova.guest.build import GuestImages
from tests.cloud.harness import Api, CloudProcess
from tests.guest_cloud.guests import Guests

OWN = {
    "KILONOVA_DATAPLANE_INSTANCE": "kt",
    "KILONOVA_AGENT_INSTANCE_NAME_TEMPLATE": "kntest-%08x",
    "KILONOVA_AGENT_SHUTDOWN_TIMEOUT": "20",
}


@pytest.fixture(scope="session")
def real_cloud() -> Iterator[CloudProcess]:
    if os.geteuid() != 0:
        pytest.skip("real guests need root")
    state = Path(tempfile.mkdtemp(prefix="kilonova-test-", dir="/var/tmp"))
    state.chmod(0o711)
    cloud = CloudProcess(state, driver="libvirt").start(**OWN)
    yield cloud
    cloud.stop()
    command = ["clean", "--yes", "--state", str(state)]
    subprocess.run(
        [str(Path(sys.executable).parent / "kilonova"), *command], env=os.environ | OWN, check=True, timeout=120
    )
    subprocess.run(["rm", "-rf", str(state)], check=True)


@pytest.fixture(scope="session")
def demo(real_cloud: CloudProcess) -> Api:
    return real_cloud.api("demo")


@pytest.fixture(scope="session")
def guests(real_cloud: CloudProcess, guest_images: GuestImages) -> Iterator[Guests]:
    made = Guests(real_cloud, guest_images)
    yield made
    made.remove_all()
