"""Every option that code offers can be set by an operator."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import msgspec
import pytest

import kilonova
from kilonova.components import metadata
from kilonova.compute.virt.file_disks import FileDisksOptions
from kilonova.core import config
from kilonova.core.clock import Clock
from kilonova.hosts import data_plane_of, drivers_of
from kilonova.network.agent.options import DataPlaneOptions
from kilonova.network.agent.registry import PARTS
from kilonova.settings import Settings, load
from kilonova.volume.backends.options import BackendOptions
from tests.support import make_core

DERIVED = {"state_dir"}  # of [cloud] state_dir
SAMPLES: dict[str, Any] = {
    "tunnel_ip": "10.9.9.9",
    "instance": "zz",
    "mark": 0x20000,
    "bridge_mappings": {"public": "br-ex"},
}


def disk_options(settings: Settings) -> Any:
    (driver,) = drivers_of(settings, Clock()).values()
    return driver.disks._options  # type: ignore[attr-defined]


def bridge_options(settings: Settings) -> Any:
    return data_plane_of(settings, "http://127.0.0.1:1", "secret").parts.firewall.options  # type: ignore[attr-defined]


BUILT: dict[type[msgspec.Struct], tuple[str, Callable[[Settings], Any]]] = {
    FileDisksOptions: ("disks", disk_options),
    DataPlaneOptions: ("dataplane", bridge_options),
}
"""Options that are made from a section of the settings, by this function."""


def all_options() -> set[type[msgspec.Struct]]:
    found: set[type[msgspec.Struct]] = set()
    for module in pkgutil.walk_packages(kilonova.__path__, "kilonova."):
        if module.name.endswith(("options", "file_disks")):
            inside = vars(importlib.import_module(module.name)).values()
            found |= {kind for kind in inside if isinstance(kind, type) and issubclass(kind, msgspec.Struct)}
    return {kind for kind in found if kind.__name__.endswith("Options")}


def sections(part: msgspec.Struct) -> Iterator[type[msgspec.Struct]]:
    """Every section of the settings, and the tables within."""
    for name in part.__struct_fields__:
        inner = getattr(part, name)
        if isinstance(inner, msgspec.Struct):
            yield type(inner)
            yield from sections(inner)


@pytest.mark.parametrize("kind", sorted(set(sections(load(env={}))), key=str), ids=lambda kind: kind.__name__)
def test_every_key_has_a_description(kind: type[msgspec.Struct]) -> None:
    for key, description in config.descriptions(kind).items():
        assert description.endswith((".", "…).")), f"{kind.__name__}.{key}: {description!r}"


SHARED = [
    ("KILONOVA_COMPUTE_SERVICE_DOWN_TIME", "7.5", ["scheduler.service_down_time", "conductor.service_down_time"]),
    ("KILONOVA_COMPUTE_DEFAULT_AVAILABILITY_ZONE", "east",
     ["scheduler.default_availability_zone", "conductor.default_availability_zone"]),
    ("KILONOVA_SCHEDULER_MAX_ATTEMPTS", "5", ["conductor.max_attempts"]),
    ("KILONOVA_COMPUTE_INSTANCE_NAME_TEMPLATE", "vm-%d", ["agent.instance_name_template", "conductor.instance_name_template"]),
]  # fmt: skip


@pytest.mark.parametrize(("variable", "text", "keys"), SHARED)
def test_one_fact_is_one_setting(variable: str, text: str, keys: list[str], tmp_path: Path) -> None:
    settings = load(env={variable: text})
    shown = config.as_toml(settings, secret_keys=frozenset())
    for key in keys:
        section, _, name = key.partition(".")
        assert str(getattr(getattr(settings, section), name)) == text
        assert shown.count(f"\n{name} = ") == 1
        file = tmp_path / "k.toml"
        file.write_text(f"[{section}]\n{name} = 1\n")
        with pytest.raises(config.ConfigError, match="is set by "):
            load(file, env={})
        elsewhere = f"KILONOVA_{section}_{name}".upper()
        with pytest.raises(config.ConfigError, match=f"environment: {elsewhere}: is set by "):
            load(env={elsewhere: text})


@pytest.mark.parametrize("template", ["vm", "vm-%d-%d", "%(name)s", "vm-%"])
def test_a_template_that_names_no_guest(template: str) -> None:
    with pytest.raises(config.ConfigError, match="instance_name_template"):
        load(env={"KILONOVA_COMPUTE_INSTANCE_NAME_TEMPLATE": template})


def test_a_drivers_options_are_checked_like_all_others(tmp_path: Path) -> None:
    file = tmp_path / "k.toml"
    file.write_text('[driver.libvirt]\nvirt_typ = "qemu"\n')
    with pytest.raises(config.ConfigError, match=r"\[driver\.libvirt\] virt_typ: unknown key; known are .*virt_type"):
        load(file, env={})
    file.write_text('[driver.libvirt]\nvirt_type = "xen"\n')
    with pytest.raises(config.ConfigError, match="virt_type must be auto, kvm or qemu"):
        load(file, env={})
    assert load(env={"KILONOVA_DRIVER_LIBVIRT_VIRT_TYPE": "qemu"}).driver.libvirt.virt_type == "qemu"
    assert load(env={"KILONOVA_DRIVER_FAKE": '{"delay": {"start": 1}}'}).driver.fake.delay == {"start": 1.0}
    with pytest.raises(config.ConfigError, match="there is no data plane 'brigde'; there are: bridge, noop"):
        data_plane_of(load(env={"KILONOVA_DATAPLANE_DRIVER": "brigde"}), "http://127.0.0.1:1", "secret")


def test_no_options_are_out_of_reach() -> None:
    named = set(get_args(BackendOptions))  # of back ends, each in a table of its own
    assert all_options() - named - set(sections(load(env={}))) == set(BUILT)


def another(name: str, value: Any) -> Any:
    if name in SAMPLES:
        return SAMPLES[name]
    return not value if isinstance(value, bool) else value + 1 if isinstance(value, int | float) else "another"


FIELDS = [(kind, f) for kind in BUILT for f in msgspec.structs.fields(kind) if f.name not in DERIVED]


@pytest.mark.parametrize(("kind", "field"), FIELDS, ids=[f"{kind.__name__}.{f.name}" for kind, f in FIELDS])
def test_each_field_has_the_settings_value(
    kind: type[msgspec.Struct], field: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("libvirt")
    for known in PARTS.values():  # each has one part as yet
        monkeypatch.setattr(known, "_own", {**known._own, "another": next(iter(known._own.values()))})
    section, build = BUILT[kind]
    value = another(field.name, field.default)
    text = json.dumps(value) if isinstance(value, dict) else str(value)
    env = {f"KILONOVA_{section}_{field.name}".upper(): text, "KILONOVA_DRIVER_LIBVIRT": '{"virt_type": "qemu"}'}
    assert getattr(build(load(env=env)), field.name) == value


def test_hosts_and_the_metadata_service_name_guests_alike(tmp_path: Path) -> None:
    settings = load(env={"KILONOVA_AGENT_DHCP_DOMAIN": "lab.test"})
    core, _, _ = make_core(tmp_path)
    parts: Any = SimpleNamespace(
        settings=settings, core=core, alone=True, database=SimpleNamespace(database=None),
        secrets=SimpleNamespace(metadata_secret="x"),
    )  # fmt: skip
    service = list(metadata(parts))[-1]
    assert service._domain == settings.agent.dhcp_domain == "lab.test"  # type: ignore[attr-defined]


def test_descriptions_are_shown() -> None:
    lines = config.as_toml(load(env={}), secret_keys=frozenset()).splitlines()
    at = lines.index("raw_disks = false")
    assert lines[at - 1].startswith("# New root disks: true for full raw copies")
    assert lines[lines.index("lease_time = 86400") - 1].startswith("# Seconds")
