"""Clouds with real guests that a module has for itself, beside all others of this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.process.cloud.harness import CloudProcess

PROVIDER_BRIDGE = "kt-br-ex"
"""Where the clouds' physical network `public` leads; there while a test needs it."""


@contextmanager
def own_cloud(
    instance: str, state: Path | None = None, **settings: str
) -> Iterator[tuple[CloudProcess, dict[str, str]]]:
    """(a running cloud, its environment). `instance` (two letters) marks its chains, devices and domains. Everything it made
    on this host is taken away at the end."""
    if os.geteuid() != 0:
        pytest.skip("real guests need root")
    env = {
        "KILONOVA_DATAPLANE_INSTANCE": instance,
        "KILONOVA_COMPUTE_INSTANCE_NAME_TEMPLATE": f"{instance}{os.getpid()}-%08x",  # a killed run may have left guests
        "KILONOVA_AGENT_SHUTDOWN_TIMEOUT": "20",
        "KILONOVA_DATAPLANE_BRIDGE_MAPPINGS": json.dumps({"public": PROVIDER_BRIDGE}),
    } | settings  # fmt: skip
    folder = state or Path(tempfile.mkdtemp(prefix="kilonova-test-", dir="/var/tmp"))
    folder.chmod(0o711)
    cloud = CloudProcess(folder, driver="libvirt").start(**env)
    try:
        yield cloud, env
    finally:
        cloud.stop()
        command = [str(Path(sys.executable).parent / "kilonova"), "clean", "--yes", "--state", str(folder)]
        subprocess.run(command, env=os.environ | env, check=True, timeout=120)
        if state is None:
            subprocess.run(["rm", "-rf", str(folder)], check=True)
