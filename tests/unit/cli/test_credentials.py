"""How clients log in: shell exports and clouds.yaml, whatever the password is made of."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from kilonova import secrets_file
from kilonova.cli.credentials import clouds_text
from kilonova.cli.main import app
from kilonova.core.clock import Clock
from kilonova.settings import SecretSettings, load

HOSTILE = [
    "plain", "it's", "'; touch /tmp/owned; '", "$(id) `id` $HOME", 'a"b\\n\\', "line\nbreak", "tab\t#c: - {x}", "ünï ☃", "-n",
    " ", "no", "0123", "!x", "~", "\x7f",
]  # fmt: skip


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("KILONOVA_")]:
        monkeypatch.delenv(name)


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize("password", HOSTILE)
def test_openrc_is_safe_to_eval(tmp_path: Path, password: str, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets_file.settle(tmp_path, SecretSettings(admin_password=password), Clock())
    monkeypatch.setenv("KILONOVA_CLOUD_REGION", password)
    done = invoke("openrc", "admin", "--state", str(tmp_path))
    assert done.exit_code == 0
    script = done.output + '\nprintf "%s\\0" "$OS_PASSWORD" "$OS_REGION_NAME" "$OS_USERNAME" "$OS_AUTH_URL"'
    shell = subprocess.run(["sh", "-c", script], capture_output=True, timeout=120, check=True, cwd=tmp_path, env={})
    got = shell.stdout.decode().split("\0")
    assert got[:4] == [password, password, "admin", "http://127.0.0.1:8774/identity/v3"]
    assert shell.stderr == b""


@pytest.mark.parametrize("password", HOSTILE)
def test_clouds_yaml_keeps_what_it_is_given(tmp_path: Path, password: str) -> None:
    given = SecretSettings(admin_password=password, demo_password=password)
    secrets_file.settle(tmp_path, given, Clock())
    settings = load(None, env={"KILONOVA_CLOUD_REGION": password, "KILONOVA_CLOUD_STATE_DIR": str(tmp_path)})
    clouds = yaml.safe_load(clouds_text(settings))["clouds"]
    assert set(clouds) == {"kilonova", "kilonova-admin"}
    for cloud, user in (("kilonova", "demo"), ("kilonova-admin", "admin")):
        assert clouds[cloud]["auth"]["password"] == password
        assert clouds[cloud]["auth"]["username"] == clouds[cloud]["auth"]["project_name"] == user
        assert clouds[cloud]["region_name"] == password


def test_the_environment_wins_over_the_kept_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets_file.settle(tmp_path, SecretSettings(admin_password="kept"), Clock())
    monkeypatch.setenv("KILONOVA_ADMIN_PASSWORD", "given")
    assert "export OS_PASSWORD=given" in invoke("openrc", "admin", "--state", str(tmp_path)).output


def test_only_admin_and_demo_are_known(tmp_path: Path) -> None:
    done = invoke("openrc", "root", "--state", str(tmp_path))
    assert done.exit_code == 2
    assert "admin and demo" in " ".join(done.output.replace("│", "").split())


@pytest.mark.parametrize(
    ("sections", "file"),
    [
        ('[endpoints]\nidentity = "https://10.0.0.10:5000/identity"\n', "/etc/tls/the ca.pem"),
        ('[endpoints]\nidentity = "http://10.0.0.10:5000/identity"\n', None),
        ('[cloud]\npublic_url = "https://cloud.example.org"\n', None),
    ],
)
def test_clients_know_the_authority_of_an_own_certificate(tmp_path: Path, sections: str, file: str | None) -> None:
    secrets = '[secrets]\nadmin_password = "a"\ndemo_password = "d"\n[serve]\nca_file = "/etc/tls/the ca.pem"\n'
    config = tmp_path / "kilonova.toml"
    config.write_text(secrets + sections)
    text = invoke("openrc", "admin", "--config", str(config), "--state", str(tmp_path)).output
    shell = subprocess.run(
        ["sh", "-c", text + '\nprintf %s "$OS_CACERT"'], capture_output=True, timeout=10, check=True, env={}
    )
    assert shell.stdout.decode() == (file or "")
    made = yaml.safe_load(invoke("clouds-yaml", "--config", str(config), "--state", str(tmp_path)).output)
    assert {cloud.get("cacert") for cloud in made["clouds"].values()} == {file}
