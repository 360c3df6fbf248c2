"""A hypervisor driver and a data plane that an installed package brings, chosen by name and with options of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.process.cloud.harness import CloudProcess, installed_package

CODE = """
import msgspec

from kilonova.compute.virt.fake import FakeOptions
from kilonova.compute.virt.fake_hypervisor import FakeHypervisor
from kilonova.network.agent.noop import NoopDataPlane
from tests.unit.virt.bare import BareDriver


class Options(msgspec.Struct, frozen=True, kw_only=True):
    cpus: int = 3


def driver(context):
    options = FakeOptions(vcpus=context.options.cpus)
    return BareDriver(context.host, FakeHypervisor(clock=context.clock), options)


def plane(settings, metadata_url, metadata_secret):
    return NoopDataPlane()
"""
POINTS = """
[kilonova.virt_drivers]
bare = bare_cloud:driver
broken = bare_cloud:nothing

[kilonova.virt_driver_options]
bare = bare_cloud:Options

[kilonova.data_planes]
quiet = bare_cloud:plane
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    """PYTHONPATH with the package and this repository's tests."""
    folder = installed_package(tmp_path / "site", "bare_cloud", CODE, POINTS)
    return os.pathsep.join([str(folder), str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")])


def test_a_plugged_in_driver(scratch_cloud: CloudProcess, path: str) -> None:
    scratch_cloud.driver = "bare"
    scratch_cloud.start(PYTHONPATH=path, KILONOVA_DRIVER_BARE_CPUS="5", KILONOVA_DATAPLANE_DRIVER="quiet")
    admin = scratch_cloud.api("admin")
    (host,) = admin.ok("GET", "placement", "/resource_providers")["resource_providers"]
    found = admin.ok("GET", "placement", f"/resource_providers/{host['uuid']}/inventories")["inventories"]
    assert found["VCPU"]["total"] == 5
    server = admin.launch(admin.image("plain"))
    admin.wait(server, "ACTIVE")
    answer = admin("POST", "compute", f"/servers/{server}/action", {"os-getConsoleOutput": {}})
    assert answer.status_code == 501
    assert answer.json()["notImplemented"]["message"] == "The requested functionality is not supported."


@pytest.mark.parametrize(
    ("driver", "plane", "words"),
    [
        (
            "vmware",
            "quiet",
            "[agent] driver: there is no hypervisor driver 'vmware'; there are: fake, libvirt, bare, broken",
        ),
        ("broken", "quiet", "[agent] driver: hypervisor driver broken: bare_cloud:nothing can't be loaded: "),
        ("bare", "brigde", "[dataplane] driver: there is no data plane 'brigde'; there are: bridge, noop, quiet"),
    ],
)
def test_a_name_that_is_unknown_or_does_not_load(
    tmp_path: Path, path: str, driver: str, plane: str, words: str
) -> None:
    code = "from kilonova.cli.main import main; main()"
    more = {"KILONOVA_AGENT_DRIVER": driver, "KILONOVA_DATAPLANE_DRIVER": plane, "PYTHONPATH": path, "COLUMNS": "1000"}
    done = subprocess.run(
        [sys.executable, "-c", code, "up", "--state", str(tmp_path / "state"), "--port", "0"],
        env=os.environ | more, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert words in " ".join((done.stdout + done.stderr).split())
    assert "Traceback" not in done.stderr


def test_installed_options_are_settings(path: str) -> None:
    """They are shown and checked like all others."""
    code = "from kilonova.cli.main import main; main()"
    env = os.environ | {"PYTHONPATH": path, "KILONOVA_DRIVER_BARE": '{"cpus": 7}'}
    ask = [sys.executable, "-c", code, "config", "show"]
    shown = subprocess.run(ask, env=env, capture_output=True, text=True, timeout=60, check=True).stdout
    assert "cpus = 7" in shown.partition("[driver.bare]")[2]
    bad = subprocess.run(
        ask, env=env | {"KILONOVA_DRIVER_BARE_CPUS": "many"}, capture_output=True, text=True, timeout=60
    )
    assert bad.returncode == 2
    assert "KILONOVA_DRIVER_BARE_CPUS" in bad.stdout + bad.stderr
