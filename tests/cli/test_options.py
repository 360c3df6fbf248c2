"""Every option that code offers can be set by an operator."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

import kilonova
from kilonova.components import metadata
from kilonova.compute.virt.fake_options import FakeOptions
from kilonova.compute.virt.file_disks import FileDisksOptions
from kilonova.compute.virt.libvirt.options import LibvirtOptions
from kilonova.core import config
from kilonova.core.clock import Clock
from kilonova.hosts import data_plane_of, drivers_of
from kilonova.network.agent.bridge.options import BridgeOptions
from kilonova.settings import Settings, load
from tests.support import make_core

DERIVED = {"state_dir"}  # of [cloud] state_dir
PASSED_ON = {LibvirtOptions: "libvirt", FakeOptions: "fake"}
"""Options of drivers: the table of their name in [driver] is passed on as it is."""
SAMPLES: dict[str, Any] = {"tunnel_ip": "10.9.9.9", "instance": "zz", "mark": 0x20000}


def disk_options(settings: Settings) -> Any:
    (driver,) = drivers_of(settings, Clock()).values()
    return driver.disks._options  # type: ignore[attr-defined]


def bridge_options(settings: Settings) -> Any:
    return data_plane_of(settings, "http://127.0.0.1:1", "secret").options  # type: ignore[attr-defined]


BUILT: dict[type[msgspec.Struct], tuple[str, Callable[[Settings], Any]]] = {
    FileDisksOptions: ("disks", disk_options),
    BridgeOptions: ("dataplane", bridge_options),
}
"""Options that are made from a section of the settings, by this function."""


def all_options() -> set[type[msgspec.Struct]]:
    found: set[type[msgspec.Struct]] = set()
    for module in pkgutil.walk_packages(kilonova.__path__, "kilonova."):
        if module.name.endswith(("options", "file_disks")):
            inside = vars(importlib.import_module(module.name)).values()
            found |= {kind for kind in inside if isinstance(kind, type) and issubclass(kind, msgspec.Struct)}
    return {kind for kind in found if kind.__name__.endswith("Options")}


def test_no_options_are_out_of_reach() -> None:
    sections = {type(getattr(load(env={}), name)) for name in Settings.__struct_fields__}
    assert all_options() - sections == {*BUILT, *PASSED_ON}


def another(name: str, value: Any) -> Any:
    if name in SAMPLES:
        return SAMPLES[name]
    return not value if isinstance(value, bool) else value + 1 if isinstance(value, int | float) else "another"


FIELDS = [(kind, f) for kind in BUILT for f in msgspec.structs.fields(kind) if f.name not in DERIVED]


@pytest.mark.parametrize(("kind", "field"), FIELDS, ids=[f"{kind.__name__}.{f.name}" for kind, f in FIELDS])
def test_each_field_is_what_the_setting_says(kind: type[msgspec.Struct], field: Any) -> None:
    pytest.importorskip("libvirt")
    section, build = BUILT[kind]
    value = another(field.name, field.default)
    env = {f"KILONOVA_{section}_{field.name}".upper(): str(value), "KILONOVA_DRIVER_LIBVIRT": '{"virt_type": "qemu"}'}
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
    assert lines[at - 1].startswith("# new root disks: true for full raw copies")
    assert lines[lines.index("lease_time = 86400") - 1].startswith("# seconds")
