"""Keys made and rotated by hand, as on several controllers: what one sealed, the others open."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

from typer.testing import CliRunner

from kilonova.cli.main import app
from kilonova.core.bus import open_bus
from kilonova.core.clock import Clock
from kilonova.identity.keys import KeyRepository
from kilonova.network.agent.metadata_signature import host_secret
from kilonova.settings import load
from kilonova.testing.engines import RabbitMQ


def keys(*words: str) -> None:
    result = CliRunner().invoke(app, ["keys", *words], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output


def test_keys_of_two_controllers(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    keys("create", "--state", str(one))
    keys("create", "--state", str(one))  # changes nothing
    assert sorted(path.name for path in (one / "fernet-keys").iterdir()) == ["0", "1"]
    assert (one / "fernet-keys" / "1").stat().st_mode & 0o777 == 0o600
    shutil.copytree(one, two)

    def repository(state: Path) -> KeyRepository:
        return KeyRepository(state / "fernet-keys", Clock(), max_active=3)

    old = repository(one).seal(b"old")
    keys("rotate", "--state", str(one))
    new = repository(one).seal(b"new")
    assert [repository(two).open(sealed) for sealed in (old, new)] == [b"old", b"new"]  # before they are copied
    shutil.rmtree(two)
    shutil.copytree(one, two)
    assert [repository(two).open(sealed) for sealed in (old, new)] == [b"old", b"new"]
    assert (one / "credential-keys" / "1").exists()


def test_keys_that_another_process_has_just_made_are_found(tmp_path: Path) -> None:
    """Two identity services that start at once on one shared folder."""
    late = KeyRepository(tmp_path, Clock(), max_active=3)
    late._write(0)
    late.create()  # saw the other's first key only
    early = KeyRepository(tmp_path, Clock(), max_active=3)
    early._write(1)
    assert late.open(early.seal(b"x")) == b"x"
    assert late.open(b"gAAAA-no-such-thing") is None


async def test_what_a_host_has_of_its_own(rabbitmq: RabbitMQ, tmp_path: Path) -> None:
    """The commands make a broker user, and the lines are a configuration with which the host gets in."""
    config = tmp_path / "kilonova.toml"
    config.write_text(
        f'[bus]\nurl = "{rabbitmq.url}?open_timeout=20"\nhost_users = "kn-{{host}}"\n'
        '[secrets]\nservice_password = "s"\ncompute_password = "c\\"d"\nmetadata_secret = "m"\ngrant_secret = "g"\n'
    )
    result = CliRunner().invoke(app, ["keys", "host", "rack-1.compute", "--config", str(config)])
    assert result.exit_code == 0, result.output
    commands, _, text = result.stdout.partition("# in the host's kilonova.toml")
    for line in commands.splitlines():
        if line.startswith("rabbitmqctl "):
            rabbitmq.control(*shlex.split(line)[1:])
    own = tmp_path / "host.toml"
    own.write_text(text)
    settings = load(own, env={})
    kept = {name for name in settings.secrets.__struct_fields__ if getattr(settings.secrets, name)}
    assert kept == {"compute_password", "metadata_secret"}
    assert settings.secrets.compute_password == 'c"d'
    assert settings.secrets.metadata_secret == host_secret("m", "rack-1.compute")
    assert settings.bus.host_users == "kn-{host}"
    for url in (rabbitmq.url, settings.bus.url):  # the control plane first, which makes the exchanges
        bus = open_bus(url, settings.bus.host_users)
        await bus.open()
        await bus.close()


def test_a_host_needs_what_its_own_is_made_of(tmp_path: Path) -> None:
    ask = ["keys", "host", "compute1", "--state", str(tmp_path)]
    result = CliRunner().invoke(app, ask)
    assert result.exit_code != 0
    assert "compute hosts need a broker" in str(result.exception)
    result = CliRunner().invoke(app, ask, env={"KILONOVA_BUS_URL": "amqp://broker"})
    assert result.exit_code != 0
    assert "metadata_secret is not set" in str(result.exception)
