"""Connections between the parts, encrypted and proven, for real: APIs, their clients, memcached."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx
import pytest

from kilonova.core.cache import open_cache
from kilonova.testing.certificates import make_certificates
from kilonova.testing.cluster import PASSWORD
from kilonova.testing.engines import Memcached, RabbitMQ, free_port
from tests.cluster.scene import eventually
from tests.serve.processes import Served, write_toml

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
    trusted = httpx.Client(verify=authority, trust_env=False, timeout=30)

    def is_ready(port: int) -> bool:
        try:
            return trusted.get(f"https://127.0.0.1:{port}/healthcheck/ready").status_code == 200
        except httpx.TransportError:
            return False

    with served[0], served[1]:
        for process, port in zip(served, ports.values(), strict=True):
            eventually(lambda port=port: is_ready(port), f"not ready: {process.words()[-2000:]}")
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
