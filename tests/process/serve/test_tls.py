"""Connections between the parts, encrypted and proven, for real: APIs, their clients, memcached."""

from __future__ import annotations

import re
import ssl
import subprocess
from pathlib import Path

import httpx
import pytest

from kilonova.components import COMPONENTS
from kilonova.core.cache import open_cache
from kilonova.testing.certificates import make_certificates
from kilonova.testing.cluster import PASSWORD
from kilonova.testing.engines import Memcached, RabbitMQ, free_port, program
from kilonova.testing.engines.base import spawn
from tests.eventually import eventually
from tests.process.serve.processes import Served, write_toml

DEPLOY = Path(__file__).parents[3] / "deploy"
pytestmark = pytest.mark.usefixtures("patient")


class SecureMemcached(Memcached):
    def command(self) -> list[str]:
        tls = self.folder / "tls"
        return [*super().command(), "-Z", "-o", f"ssl_chain_cert={tls / 'server.pem'},ssl_key={tls / 'server.key'}"]

    def prepare(self) -> None:
        tls = self.folder / "tls"
        if not tls.exists():
            tls.mkdir()
            make_certificates(tls, self.address)
            for file in (tls, *tls.iterdir()):
                self._own(file)
            self.folder.parent.chmod(0o755)


async def test_memcached_is_encrypted_and_proven(engine_folder: Path, tmp_path: Path) -> None:
    with SecureMemcached(engine_folder / "secure") as engine:
        place, ca = f"{engine.address}:{engine.port}", engine.folder / "tls" / "ca.pem"
        good = open_cache(f"memcacheds://{place}?cafile={ca}", "secret")
        await good.set("name", b"value", 60)
        assert await good.get("name") == b"value"
        make_certificates(tmp_path, engine.address)
        for url in (
            f"memcacheds://{place}?cafile={tmp_path / 'ca.pem'}",
            f"memcacheds://{place}",
            f"memcached://{place}",
        ):
            other = open_cache(url, "secret")
            assert await other.get("name") is None, url
            await other.close()
        await good.close()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("memcacheds://h:1?cafile=/no/such/file", "No such file"),
        ("memcacheds://h:1?verify=no", "unknown option verify"),
        ("memcached://h:1?cafile=x", "has no options"),
        ("redis://h", "no cache for redis"),
    ],
)
def test_a_wrong_cache_url_is_refused(url: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        open_cache(url, "secret")


def test_apis_speak_https_to_each_other(rabbitmq: RabbitMQ, tmp_path: Path) -> None:
    """Image asks identity over https, whose certificate is of the cloud's own authority; the operator's commands too."""
    tls, ports = tmp_path / "tls", {"identity": free_port(), "image": free_port()}
    tls.mkdir()
    make_certificates(tls, "127.0.0.1")
    sections = {
        "bus": {"url": rabbitmq.url},
        "cloud": {"state_dir": str(tmp_path / "state")},
        "endpoints": {name: f"https://127.0.0.1:{port}/{name}" for name, port in ports.items()},
        "serve": {
            "ca_file": str(tls / "ca.pem"), "cert_file": str(tls / "server.pem"), "key_file": str(tls / "server.key"),
        },
        "secrets": {"admin_password": PASSWORD, "service_password": PASSWORD, "cache_secret": PASSWORD},
    }  # fmt: skip
    config = write_toml(tmp_path / "kilonova.toml", sections)
    for words in (("db", "upgrade", "identity", "image"), ("bootstrap",)):
        done = Served(tmp_path / f"{words[0]}.log", *words, "--config", str(config))
        assert done.ended() == 0, done.words()
    served = [
        Served(tmp_path / f"{name}.log", "serve", name, "--config", str(config), "--port", str(port))
        for name, port in ports.items()
    ]
    authority = ssl.create_default_context(cafile=tls / "ca.pem")
    trusted = httpx.Client(verify=authority, trust_env=False, timeout=120)

    def is_ready(port: int) -> bool:
        try:
            return trusted.get(f"https://127.0.0.1:{port}/healthcheck/ready").status_code == 200
        except httpx.TransportError:
            return False

    with served[0], served[1]:
        for process, port in zip(served, ports.values(), strict=True):
            eventually(lambda port=port: is_ready(port), process.words)
        domain = {"name": "Default"}
        user = {"name": "admin", "domain": domain, "password": PASSWORD}
        body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}},
                         "scope": {"project": {"name": "admin", "domain": domain}}}}  # fmt: skip
        login = trusted.post(f"https://127.0.0.1:{ports['identity']}/identity/v3/auth/tokens", json=body)
        images = f"https://127.0.0.1:{ports['image']}/image/v2/images"
        assert trusted.get(images, headers={"X-Auth-Token": login.headers["x-subject-token"]}).json()["images"] == []
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(images, trust_env=False)
        with pytest.raises(httpx.TransportError):
            httpx.get(images.replace("https", "http"), trust_env=False)
        openrc = Served(tmp_path / "verify.log", "verify", "--config", str(config))
        assert openrc.ended() != 0
        assert "CERTIFICATE" not in openrc.words()
        assert [process.terminate() for process in served] == [0, 0]


def test_the_sample_of_haproxy_proves_the_services_behind_it(rabbitmq: RabbitMQ, tmp_path: Path) -> None:
    """As deploy/ has it, on this machine's ports: https in front, https behind; a client without a certificate of ours gets
    nothing."""
    tls, places = tmp_path / "tls", dict[str, str]()
    for name, addresses in {"ctl1": ["ctl1", "127.0.0.1"], "ctl2": ["ctl2"], "cloud.example.org": []}.items():
        subprocess.run([DEPLOY / "certificates.sh", tls, name, *addresses], check=True, capture_output=True, timeout=60)

    def here(found: re.Match[str]) -> str:
        return places.setdefault(found[0], f"127.0.0.1:{free_port()}")

    text = re.sub(r"10\.0\.0\.1\d:\d+", here, (DEPLOY / "haproxy.cfg").read_text()).replace(
        "/etc/kilonova/tls", str(tls)
    )
    text = re.sub(r"127\.0\.0\.1:8404", f"127.0.0.1:{free_port()}", text).replace("/etc/haproxy/", f"{tls}/")
    for service in ("identity", "image", "placement", "compute", "network", "metadata"):
        port = COMPONENTS[{"compute": "compute-api", "network": "network-api"}.get(service, service)].port
        ours = places[f"10.0.0.10:{port}"].rpartition(":")[2]
        text = text.replace(f"if {{ dst_port {port} }}", f"if {{ dst_port {ours} }}")
    (tmp_path / "haproxy.cfg").write_text(text.replace("maxconn 20000", "maxconn 100"))
    front, behind = (
        places["10.0.0.10:5000"],
        {name: places[f"10.0.0.1{n}:5000"] for n, name in ((1, "ctl1"), (2, "ctl2"))},
    )
    sections = {
        "bus": {"url": rabbitmq.url}, "cloud": {"state_dir": str(tmp_path / "state")},
        "endpoints": {"identity": f"https://{front}/identity"}, "serve": {"ca_file": str(tls / "ca.pem")},
        "secrets": {"admin_password": PASSWORD, "service_password": PASSWORD},
    }  # fmt: skip
    config = write_toml(tmp_path / "kilonova.toml", sections)
    for words in (("db", "upgrade", "identity"), ("bootstrap",)):
        assert Served(tmp_path / f"{words[0]}.log", *words, "--config", str(config)).ended() == 0
    balancer = spawn([program("haproxy"), "-db", "-f", str(tmp_path / "haproxy.cfg")], tied=True)
    authority = ssl.create_default_context(cafile=tls / "ca.pem")

    def status() -> int:
        try:
            return httpx.get(f"https://{front}/identity/v3", verify=authority, trust_env=False, timeout=120).status_code
        except httpx.TransportError:
            return 0

    def served(name: str, certificate: str) -> Served:
        env = {
            "KILONOVA_SERVE_CERT_FILE": str(tls / certificate),
            "KILONOVA_SERVE_KEY_FILE": str(tls / f"{certificate}.key"),
        }
        port = behind[name].rpartition(":")[2]
        return Served(tmp_path / f"{name}.log", "serve", "identity", "--config", str(config), "--port", port, env=env)

    try:
        with served("ctl2", "ctl1.pem") as impostor:  # ctl1's certificate on ctl2
            impostor.says("serving")
            assert status() in (0, 503)
            with served("ctl1", "ctl1.pem"):
                eventually(lambda: status() == 200, "haproxy does not reach ctl1")
        with pytest.raises(httpx.TransportError):
            httpx.get(f"http://{front}/identity/v3", trust_env=False)
    finally:
        balancer.terminate()
        balancer.wait(20)
