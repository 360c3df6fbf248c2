"""What lies in deploy/, read by the programs that it is for."""

from __future__ import annotations

import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest

from kilonova.components import COMPONENTS
from kilonova.config_warnings import warnings
from kilonova.settings import DATABASES, Settings, load
from kilonova.testing.engines import program

DEPLOY = Path(__file__).parents[3] / "deploy"
PEM = "/etc/haproxy/cloud.example.org.pem"
AGENTS = ("compute", "network-agent", "volume-agent")


def ran(*command: str) -> str:
    """What it said; a failure of it is one of the test."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def sample(name: str) -> Settings:
    return load(DEPLOY / f"kilonova-{name}.toml", env={})


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What certificates.sh makes."""
    folder = tmp_path_factory.mktemp("tls")
    ran(str(DEPLOY / "certificates.sh"), str(folder), "ctl1", "ctl1", "10.0.0.11", "10.0.0.10", "127.0.0.1")
    ran(str(DEPLOY / "certificates.sh"), str(folder), "cloud.example.org")
    return folder


def test_haproxy_takes_its_configuration(tls: Path, tmp_path: Path) -> None:
    text, config = (DEPLOY / "haproxy.cfg").read_text(), tmp_path / "haproxy.cfg"
    assert PEM in text
    config.write_text(text.replace(PEM, str(tls / "cloud.example.org.pem")).replace("/etc/kilonova/tls", str(tls)))
    assert "WARNING" not in ran(program("haproxy"), "-c", "-f", str(config))


def test_certificates(tls: Path) -> None:
    """The authority stays, keys are their owner's alone, a certificate names what was asked for."""
    assert {path.name: path.stat().st_mode & 0o777 for path in tls.iterdir()} == {
        "ca.pem": 0o644, "ca.key": 0o600, "ctl1.pem": 0o644, "ctl1.pem.key": 0o600, "cloud.example.org.pem": 0o644,
        "cloud.example.org.pem.key": 0o600,
    }  # fmt: skip
    before = (tls / "ca.pem").read_bytes()
    ran(str(DEPLOY / "certificates.sh"), str(tls))
    assert (tls / "ca.pem").read_bytes() == before
    shown = ran("openssl", "x509", "-in", str(tls / "ctl1.pem"), "-noout", "-ext", "subjectAltName,basicConstraints")
    assert "DNS:ctl1, IP Address:10.0.0.11, IP Address:10.0.0.10, IP Address:127.0.0.1" in shown
    assert "CA:FALSE" in shown
    ran("openssl", "verify", "-x509_strict", "-CAfile", str(tls / "ca.pem"), str(tls / "ctl1.pem"))


@pytest.mark.parametrize("name", ["controller", "compute"])
def test_the_samples_are_safe_on_a_network(name: str) -> None:
    """Every connection is encrypted, every server proven, and hosts share nothing with the control plane."""
    said = warnings(sample(name))
    assert [line for line in said if "of the sample" not in line] == []
    assert "[bus] url has the password of the sample" in said
    assert any(line.startswith("[secrets] compute_password is that of the sample") for line in said)
    lines = [line.split("#")[0] for line in (DEPLOY / "haproxy.cfg").read_text().splitlines()]
    for line in lines:
        if line.startswith("  bind ") and "127.0.0.1" not in line:
            assert " ssl crt " in line, line
        if line.startswith("  server "):
            assert " verifyhost " in line, line
    assert any("default-server" in line and "ssl verify required ca-file" in line for line in lines)


def test_haproxy_serves_what_the_endpoints_name() -> None:
    """The ports are the components' own, and every service is asked for its readiness."""
    text = (DEPLOY / "haproxy.cfg").read_text()
    endpoints = sample("controller").endpoints
    for component, service in {
        "identity": "identity", "image": "image", "placement": "placement", "compute-api": "compute",
        "network-api": "network", "volume": "volume", "metadata": "metadata", "ec2": "ec2",
    }.items():  # fmt: skip
        port = COMPONENTS[component].port
        assert f"bind 10.0.0.10:{port} ssl" in text
        assert f"use_backend {service} if {{ dst_port {port} }}" in text
        assert text.count(f"10.0.0.11:{port} ") == 1
        assert getattr(endpoints, service) == f"https://10.0.0.10:{port}/{service}"
    assert "option httpchk GET /healthcheck/ready" in text
    assert text.count(f"10.0.0.11:{COMPONENTS['console-proxy'].port} ") == 1
    public = next(line for line in text.splitlines() if "use_backend %[path,word(1,/)]" in line)
    for prefix in ("identity", "image", "placement", "compute", "network", "volume", "console", "ec2"):
        assert f" /{prefix}/ " in public
        assert f"\nbackend {prefix}\n" in text


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


def test_the_samples_have_what_their_machines_need() -> None:
    controller, compute = sample("controller"), sample("compute")
    needed = {names[0] for component in COMPONENTS.values() for names in component.secrets}
    assert all(getattr(controller.secrets, name) for name in needed | {"grant_secret"})
    assert set(controller.database.urls()) == set(DATABASES)
    assert compute.database.urls() == {}
    for component in COMPONENTS.values():
        if component.on_host:
            assert all(getattr(compute.secrets, names[0]) for names in component.secrets)
    kept = {name for name in compute.secrets.__struct_fields__ if getattr(compute.secrets, name)}
    assert kept == {"compute_password", "metadata_secret"}
    assert controller.endpoints == compute.endpoints
