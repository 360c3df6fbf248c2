"""Settings: where they come from, what wrong ones say, how they are shown."""

from __future__ import annotations

import os
import stat
import sys
import tomllib
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilonova import secrets_file
from kilonova.cli.main import main
from kilonova.core import config
from kilonova.core.clock import Clock
from kilonova.core.config import ConfigError
from kilonova.settings import SecretSettings, load


class Inner(msgspec.Struct, frozen=True, kw_only=True):
    depth: int = 1
    names: list[str] = []


class One(msgspec.Struct, frozen=True, kw_only=True):
    text: str = "t"
    number: int = 1
    ratio: float = 1.5
    flag: bool = False
    many: list[str] = []
    numbers: list[int] = []
    table: dict[str, Any] = {}
    inner: Inner = Inner()
    where: Path = Path("/x")
    maybe: str | None = None
    password: str = ""
    url: str = ""
    told: Annotated[dict[str, str], config.doc("A table with a description.")] = {}
    listed: Annotated[tuple[str, ...], config.doc("A list with a description.")] = ()


class All(msgspec.Struct, frozen=True, kw_only=True):
    one: One
    two: Inner = Inner()


def build(document: dict[str, Any] | None = None, **env: str) -> All:
    return config.build(All, document or {}, {f"KILONOVA_{k}".upper(): v for k, v in env.items()}, "kilonova.toml")


# ---- where they come from


def test_defaults_file_environment_and_command_line(tmp_path: Path) -> None:
    file = tmp_path / "k.toml"
    file.write_text('[cloud]\nport = 1\nlisten = "a"\nregion = "R"\n')
    env = {"KILONOVA_CLOUD_PORT": "2", "KILONOVA_CLOUD_LISTEN": "b"}
    settings = load(file, env=env, overrides={"cloud": {"port": 3}})
    assert (settings.cloud.port, settings.cloud.listen, settings.cloud.region) == (3, "b", "R")
    assert settings.bus.url == "memory://"
    assert load(None, env={}).cloud.port == 8774
    assert load(None, env={"KILONOVA_ADMIN_PASSWORD": "x"}).secrets.admin_password == "x"


ENV: list[tuple[str, str, Any]] = [
    ("text", "a b", "a b"), ("text", "", ""), ("number", "-3", -3), ("ratio", "2", 2.0), ("flag", "true", True),
    ("flag", "0", False),
    ("many", "a, b,,c ", ["a", "b", "c"]), ("many", "", []), ("numbers", "1,2", [1, 2]), ("table", '{"a": [1]}', {"a": [1]}),
    ("inner", '{"depth": 3, "names": ["x"]}', Inner(depth=3, names=["x"])), ("where", "/tmp/y", Path("/tmp/y")),
    ("maybe", "x", "x"), ("told", '{"a": "b"}', {"a": "b"}), ("listed", "a, b", ("a", "b")),
]  # fmt: skip


@pytest.mark.parametrize(("key", "text", "value"), ENV)
def test_every_kind_can_be_set_by_the_environment(key: str, text: str, value: Any) -> None:
    assert getattr(build(**{f"one_{key}": text}).one, key) == value


def test_every_kind_can_be_set_by_the_file() -> None:
    one = build(
        tomllib.loads("""
        [one]
        text = "x"
        ratio = 2
        flag = true
        numbers = [1]
        table = { a = { b = 1 } }
        inner = { depth = 4 }
        where = "/tmp/z"
    """)
    ).one
    assert (one.ratio, one.numbers, one.table, one.inner, one.where) == (
        2.0, [1], {"a": {"b": 1}}, Inner(depth=4), Path("/tmp/z"))  # fmt: skip


WRONG: list[tuple[dict[str, Any], dict[str, str], tuple[str, ...]]] = [
    ({"three": {}}, {}, ("kilonova.toml", "[three]", "unknown section", "one, two")),
    ({"one": {"colour": 1}}, {}, ("kilonova.toml", "[one] colour", "unknown key", "flag")),
    ({"one": {"number": "1"}}, {}, ("kilonova.toml", "[one] number", "int")),
    ({"one": {"number": 1.5}}, {}, ("kilonova.toml", "[one] number", "int")),
    ({"one": {"flag": 1}}, {}, ("kilonova.toml", "[one] flag", "bool")),
    ({"one": {"many": "a"}}, {}, ("kilonova.toml", "[one] many", "array")),
    ({"one": {"numbers": [1, "b"]}}, {}, ("kilonova.toml", "[one] numbers", "[1]")),
    ({"one": {"where": 3}}, {}, ("kilonova.toml", "[one] where")),
    ({"one": {"inner": {"depth": "x"}}}, {}, ("kilonova.toml", "[one.inner] depth")),
    ({}, {"one_number": "many"}, ("environment", "KILONOVA_ONE_NUMBER", "int")),
    ({}, {"one_flag": "perhaps"}, ("environment", "KILONOVA_ONE_FLAG")),
    ({}, {"one_inner": "{"}, ("environment", "KILONOVA_ONE_INNER", "JSON")),
    ({}, {"one_inner": "[1]"}, ("environment", "KILONOVA_ONE_INNER", "object")),
    ({}, {"one_numbers": "1,b"}, ("environment", "KILONOVA_ONE_NUMBERS")),
]


@pytest.mark.parametrize(("document", "env", "says"), WRONG)
def test_a_wrong_setting_is_named(document: dict[str, Any], env: dict[str, str], says: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError) as caught:
        build(document, **env)
    assert all(part in str(caught.value) for part in says), caught.value
    assert "\n" not in str(caught.value)


FILES = [
    (None, "no such file"), (b"[cloud\n", "not valid TOML"), (b"port = 1\n", "port: keys belong in a section"),
    (b"\xff\xfe", "utf-8"), (b"[[cloud]]\n", "cloud"), (b"[cloud]\nport = 1\nport = 2\n", "not valid TOML"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "says"), FILES)
def test_a_wrong_file_is_named(tmp_path: Path, content: bytes | None, says: str) -> None:
    file = tmp_path / "k.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=says) as caught:
        load(file, env={})
    assert str(file) in str(caught.value)
    with pytest.raises(ConfigError):
        load(tmp_path, env={})  # a directory


# ---- how they are shown


def shown(settings: msgspec.Struct, *secret: str) -> Any:
    return tomllib.loads(config.as_toml(settings, secret_keys=frozenset(secret)))


texts = st.text(st.characters(codec="utf-8"), max_size=10)
values = st.recursive(
    st.booleans() | st.integers(-(1 << 60), 1 << 60) | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@given(text=texts, number=st.integers(-(1 << 62), 1 << 62), ratio=st.floats(allow_nan=False), many=st.lists(texts),
       table=st.dictionaries(texts, values, max_size=3), path=texts)  # fmt: skip
def test_what_is_shown_can_be_read_back(text: str, number: int, ratio: float, many: Any, table: Any, path: str) -> None:
    from kilonova.core import log

    one = One(text=text, number=number, ratio=ratio, many=many, table=table, where=Path("/" + path.replace("\0", "")))
    read = build(shown(All(one=one))).one
    assert (read.text, read.number, read.ratio, read.many) == (log.redact(text), number, ratio, log.redact(many))
    assert read.table == log.redact(table)


def test_secrets_are_not_shown() -> None:
    one = One(password="hunter2", url="postgresql://kn:hunter2@db/x", table={"password": "hunter2", "size": 1})
    text = config.as_toml(All(one=one), secret_keys=frozenset({"password"}))
    assert "hunter2" not in text
    read = tomllib.loads(text)["one"]
    assert (read["password"], read["url"], read["table"]["size"]) == ("***", "postgresql://kn:***@db/x", 1)
    assert shown(All(one=One()), "password")["one"]["password"] == ""


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit code of `kilonova ARGUMENTS`."""
    monkeypatch.setattr(sys, "argv", ["kilonova", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.fixture
def clean_env(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("KILONOVA_")]:
        monkeypatch.delenv(name)


def test_config_show(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, clean_env: None
) -> None:
    file = tmp_path / "k.toml"
    file.write_text(
        '[secrets]\nadmin_password = "hunter2"\n[cloud]\nport = 9\n[database]\ncompute = "postgresql://a:hunter2@h/d"'
    )
    monkeypatch.setenv("KILONOVA_SECRETS_METADATA_SECRET", "hunter2")
    assert run(monkeypatch, "config", "show", "--config", str(file), "--state", str(tmp_path)) == 0
    out = capsys.readouterr().out
    assert "hunter2" not in out
    read = tomllib.loads(out)
    assert (read["cloud"]["port"], read["cloud"]["state_dir"]) == (9, str(tmp_path))
    (tmp_path / "again.toml").write_text(out)
    assert load(tmp_path / "again.toml", env={}).cloud.port == 9  # what is shown is a good file


CHECKS = [
    ("[cloud]\nport = 9\n", 0, "good"), ("[cloud]\nport = 'nine'\n", 2, "[cloud] port"), ("[clod]\n", 2, "unknown section"),
    ("[cloud\n", 2, "not valid TOML"), (None, 2, "no such file"),
    ("[log]\nlevel = 'loud'\n", 2, "known are debug, info, warning, error"),
    ("[identity]\nproxies = ['ctl1']\n", 2, "'ctl1' is not an IP address"),
    ("[identity]\nproxies = ['fd00:0::1']\n", 2, "write 'fd00:0::1' as 'fd00::1'"),
]  # fmt: skip

REFUSED = [
    (
        "[scheduler]\ndriver = 'luck'\n",
        "[scheduler] driver: there is no scheduler driver 'luck'; there are: filter, chance",
    ),
    (
        "[scheduler]\nfilters = ['NoFilter']\n",
        "[scheduler] filters: there is no filter 'NoFilter'; there are: AvailabilityZoneFilter, ",
    ),
    ("[bus]\nurl = 'kafka://b'\n", "[bus] url: no transport for kafka://"),
    ("[cache]\nurl = 'redis://b'\n", "[cache] url: no cache for redis://"),
    ("[database]\nurl = 'oracle://b/{service}'\n", "[database] identity: oracle:// is not known"),
    ("[dataplane]\ndriver = 'wire'\n", "[dataplane] driver: there is no data plane 'wire'"),
    ("[dataplane]\nfirewall = 'ufw'\n", "[dataplane] firewall: there is no firewall part 'ufw'; there are: iptables"),
    ("[dataplane]\ntunnel_ip = '10.0.0'\n", "[dataplane]: '10.0.0' does not appear"),
    ("[image]\nstore = 'tape'\n", "[image] store: unknown name tape; known are file"),
    ("[cloud]\npolicy_dir = '/no/such/folder'\n", "[cloud] policy_dir: there is no folder /no/such/folder"),
]


@pytest.mark.parametrize(("text", "code", "says"), CHECKS)
def test_config_check(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, clean_env: None,
    text: str | None, code: int, says: str,
) -> None:  # fmt: skip
    file = tmp_path / "k.toml"
    if text is not None:
        file.write_text(text)
    assert run(monkeypatch, "config", "check", "--config", str(file)) == code
    captured = capsys.readouterr()
    said = captured.out if code == 0 else captured.err
    assert says in said
    assert str(file) in said
    assert len(said.strip().splitlines()) == 1


@pytest.mark.parametrize(("text", "says"), REFUSED)
def test_config_check_refuses_what_a_start_refuses(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, clean_env: None,
    text: str, says: str,
) -> None:  # fmt: skip
    file = tmp_path / "k.toml"
    file.write_text(text)
    assert run(monkeypatch, "config", "check", "--config", str(file)) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert says in said[-1]
    assert said[-1].startswith("kilonova: ")


# ---- secrets


def test_secrets_are_made_once_and_kept_for_the_owner_alone(tmp_path: Path) -> None:
    state = tmp_path / "deep" / "state"
    assert secrets_file.read(state) == SecretSettings()
    old = os.umask(0)
    try:
        first = secrets_file.settle(state, SecretSettings(), Clock())
    finally:
        os.umask(old)
    values = msgspec.structs.astuple(first)
    assert len(set(values)) == len(values)
    assert all(len(value) >= 20 for value in values)
    assert stat.S_IMODE((state / "secrets.json").stat().st_mode) == 0o600
    assert secrets_file.settle(state, SecretSettings(), Clock()) == first == secrets_file.read(state)
    assert os.listdir(state) == ["secrets.json"]


def test_given_secrets_win_and_are_kept(tmp_path: Path) -> None:
    first = secrets_file.settle(tmp_path, SecretSettings(), Clock())
    second = secrets_file.settle(tmp_path, SecretSettings(admin_password="mine"), Clock())
    assert second == msgspec.structs.replace(first, admin_password="mine")
    assert secrets_file.settle(tmp_path, SecretSettings(), Clock()) == second


def test_a_left_over_file_does_not_make_secrets_readable(tmp_path: Path) -> None:
    """Of a start that was killed, or made by another process."""
    (tmp_path / "secrets.json.new").touch(0o644)
    (tmp_path / "secrets.json.new").chmod(0o644)
    secrets_file.settle(tmp_path, SecretSettings(), Clock())
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600
