"""What `kilonova config check` warns of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from kilonova.cli.main import app
from kilonova.config_warnings import warnings
from kilonova.settings import load

SAFE: dict[str, dict[str, str]] = {
    "bus": {"url": "amqps://u:p@10.0.0.11/v?cafile=x", "host_users": "kilonova-host-{host}"},
    "database": {"url": "postgresql://u:p@10.0.0.10/{service}?sslmode=verify-full&sslrootcert=x"},
    "cache": {"url": "memcacheds://10.0.0.11?cafile=x"},
    "endpoints": {"identity": "https://10.0.0.10:5000/identity"},
    "secrets": {"compute_password": "c", "grant_secret": "g", "service_password": "s"},
}
HOST: dict[str, dict[str, str]] = {
    "bus": {"url": "amqps://kilonova-host-h1:p@10.0.0.11/v?cafile=x", "host_users": "kilonova-host-{host}"},
    "agent": {"host": "h1"},
    "endpoints": SAFE["endpoints"],
    "secrets": {"compute_password": "c", "metadata_secret": "host:h1:abc"},
}


def said(base: dict[str, dict[str, str]], **sections: dict[str, str]) -> list[str]:
    made: dict[str, Any] = {name: base.get(name, {}) | sections.get(name, {}) for name in base.keys() | sections.keys()}
    return warnings(load(None, overrides=made, env={}))


@pytest.mark.parametrize("base", [SAFE, HOST, {}, {"cloud": {"public_url": "http://127.0.0.1:8774"}}])
def test_safe_settings_give_no_warning(base: dict[str, dict[str, str]]) -> None:
    assert said(base) == []


def test_nothing_leaves_this_machine() -> None:
    local = {"bus": {"url": "amqp://u:p@localhost,127.0.0.1:5672/"}, "cache": {"url": "memcached://127.0.0.1:11211"}}
    assert all("encrypted" not in line for line in said(SAFE, **local))


@pytest.mark.parametrize(
    ("section", "key", "value", "words"),
    [
        ("bus", "url", "amqp://u:p@127.0.0.1,10.0.0.11:5672/v", "what goes to 10.0.0.11 is not encrypted"),
        ("cache", "url", "memcached://10.0.0.11,127.0.0.1", "what goes to 10.0.0.11 is not encrypted"),
        ("endpoints", "image", "http://image.example:9292/image", "what goes to image.example is not encrypted"),
        ("cloud", "public_url", "http://cloud.example.org", "what goes to cloud.example.org is not encrypted"),
        ("database", "image", "postgresql://u:p@10.0.0.10/image", "10.0.0.10 is not authenticated"),
        ("database", "image", "mysql://u:p@[fd00::1]/image?sslmode=require", "fd00::1 is not authenticated"),
        ("serve", "listen", "10.0.0.11", "clients of 10.0.0.11 are not encrypted"),
        ("cloud", "listen", "0.0.0.0", "clients of 0.0.0.0 are not encrypted"),
        ("database", "image", "postgresql://u:DATABASE-PASSWORD@127.0.0.1/image", "password of the sample"),
        ("secrets", "grant_secret", "CHANGE-ME-6", "grant_secret is that of the sample"),
        ("bus", "host_users", "", "can send as all others"),
        ("secrets", "compute_password", "", "hosts need the control plane's account"),
        ("secrets", "grant_secret", "", "hosts need the control plane's account"),
    ],
)
def test_what_is_not_safe_is_named(section: str, key: str, value: str, words: str) -> None:
    (line,) = said(SAFE, **{section: {key: value}})
    assert line.startswith(f"[{section}] {key}")
    assert words in line
    assert ":p@" not in line


@pytest.mark.parametrize(
    ("section", "key", "value", "words"),
    [
        ("secrets", "service_password", "s", "a compute host has the control plane's account"),
        ("secrets", "metadata_secret", "m", "a compute host has the cloud's"),
        ("bus", "url", "amqps://kilonova-host-h2:p@10.0.0.11/v?cafile=x", "not that of host h1, kilonova-host-h1"),
    ],
)
def test_what_a_host_should_not_have(section: str, key: str, value: str, words: str) -> None:
    (line,) = said(HOST, **{section: {key: value}})
    assert line.startswith(f"[{section}] {key}")
    assert words in line


def test_the_command_warns_and_is_content(tmp_path: Path) -> None:
    config = tmp_path / "kilonova.toml"
    config.write_text('[cache]\nurl = "memcached://10.0.0.11"\n[secrets]\ncache_secret = "x"\n')
    result = CliRunner().invoke(app, ["config", "check", "--config", str(config)])
    assert result.exit_code == 0
    assert "warning: [cache] url: what goes to 10.0.0.11 is not encrypted" in result.output
    assert f"{config}: good" in result.output


@pytest.mark.parametrize(
    ("serve", "words"),
    [
        ('cert_file = "/no/such.pem"', "cert_file and key_file go together"),
        ('cert_file = "/no/such.pem"\nkey_file = "/no/such.key"', "cert_file /no/such.pem: No such file"),
    ],
)
def test_certificates_that_are_not_there(tmp_path: Path, serve: str, words: str) -> None:
    config = tmp_path / "kilonova.toml"
    config.write_text(f"[serve]\n{serve}\n")
    result = CliRunner().invoke(app, ["config", "check", "--config", str(config)])
    assert result.exit_code != 0
    assert words in str(result.exception)
