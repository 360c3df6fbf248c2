"""What lies in deploy/, read by the programs that it is for."""

from __future__ import annotations

import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest

from kilonova.components import COMPONENTS
from kilonova.settings import Settings, load
from kilonova.testing.engines import program

DEPLOY = Path(__file__).parents[2] / "deploy"
PEM = "/etc/haproxy/cloud.example.org.pem"
AGENTS = ("compute", "network-agent")


def ran(*command: str) -> str:
    """What it said; a failure of it is one of the test."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def sample(name: str) -> Settings:
    return load(DEPLOY / f"kilonova-{name}.toml", env={})


def test_haproxy_takes_its_configuration(tmp_path: Path) -> None:
    pem, config = tmp_path / "cloud.pem", tmp_path / "haproxy.cfg"
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    ran("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=cloud.example.org", "-days", "1",
        "-keyout", str(key), "-out", str(certificate))  # fmt: skip
    pem.write_text(key.read_text() + certificate.read_text())
    text = (DEPLOY / "haproxy.cfg").read_text()
    assert PEM in text
    config.write_text(text.replace(PEM, str(pem)))
    assert "WARNING" not in ran(program("haproxy"), "-c", "-f", str(config))


def test_haproxy_serves_what_the_endpoints_name() -> None:
    """The ports are the components' own, and every service is asked for its readiness."""
    text = (DEPLOY / "haproxy.cfg").read_text()
    endpoints = sample("controller").endpoints
    for component, service in {
        "identity": "identity", "image": "image", "placement": "placement", "compute-api": "compute",
        "network-api": "network", "metadata": "metadata",
    }.items():  # fmt: skip
        port = COMPONENTS[component].port
        assert f"bind 10.0.0.10:{port}" in text
        assert f"use_backend {service} if {{ dst_port {port} }}" in text
        assert text.count(f"10.0.0.11:{port}\n") == 1
        assert getattr(endpoints, service) == f"http://10.0.0.10:{port}/{service}"
    assert "option httpchk GET /healthcheck/ready" in text


@pytest.mark.parametrize("tool", [tool for tool in ("keepalived",) if shutil.which(tool)])
def test_keepalived_takes_its_configuration(tool: str, tmp_path: Path) -> None:
    """It complains in the file that it is given; its exit code here also depends on the machine's interfaces."""
    complaints = tmp_path / "complaints"
    config = str(DEPLOY / "keepalived.conf")
    subprocess.run([tool, f"--config-test={complaints}", "-f", config], timeout=60, check=False, start_new_session=True)
    assert not complaints.exists() or complaints.read_text() == ""


@pytest.mark.parametrize("tool", [tool for tool in ("systemd-analyze",) if shutil.which(tool)])
@pytest.mark.parametrize("component", sorted(COMPONENTS))
def test_systemd_takes_the_units(tool: str, component: str, tmp_path: Path) -> None:
    for name in ("kilonova@.service", "kilonova.target"):
        text = (DEPLOY / "systemd" / name).read_text()
        (tmp_path / name).write_text(text.replace("/opt/kilonova/bin/kilonova", "/bin/true"))
    for component_ in AGENTS:
        shutil.copytree(
            DEPLOY / f"systemd/kilonova@{component_}.service.d", tmp_path / f"kilonova@{component_}.service.d"
        )
    unit = tmp_path / f"kilonova@{component}.service"
    unit.symlink_to(tmp_path / "kilonova@.service")
    said = ran("env", f"SYSTEMD_UNIT_PATH={tmp_path}:", tool, "verify", "--man=no", str(unit))
    assert "kilonova" not in said


def test_units_run_what_there_is() -> None:
    unit = ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(DEPLOY / "systemd/kilonova@.service")
    service = unit["Service"]
    assert service["ExecStart"].endswith("serve %i --config /etc/kilonova/kilonova.toml")
    serve = sample("controller").serve
    assert float(service["TimeoutStopSec"]) > serve.drain_notice + serve.drain_timeout
    folders = {path.name for path in (DEPLOY / "systemd").iterdir() if path.is_dir()}
    assert folders == {f"kilonova@{agent}.service.d" for agent in AGENTS}


def test_the_samples_say_what_their_machines_need() -> None:
    controller, compute = sample("controller"), sample("compute")
    needed = {names[0] for component in COMPONENTS.values() for names in component.secrets}
    assert all(getattr(controller.secrets, name) for name in needed | {"grant_secret"})
    assert set(controller.database.urls()) == {"identity", "image", "placement", "compute", "network"}
    assert compute.database.urls() == {}
    for agent in AGENTS:
        assert all(getattr(compute.secrets, names[0]) for names in COMPONENTS[agent].secrets)
    kept = {name for name in compute.secrets.__struct_fields__ if getattr(compute.secrets, name)}
    assert kept == {"compute_password", "metadata_secret"}
    assert controller.endpoints == compute.endpoints
