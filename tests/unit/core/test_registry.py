"""Parts that installed packages bring: found in one way, and looked for once."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import EntryPoint
from types import SimpleNamespace

import pytest

from kilonova.core import registry
from kilonova.core.config import ConfigError
from kilonova.core.registry import Registry, installed

POINTS = (
    [EntryPoint("one", "builtins:int", "kilonova.parts"), EntryPoint("text", "builtins:str", "kilonova.parts"),
     EntryPoint("cli", "x:main", "console_scripts")],
    [EntryPoint("one", "builtins:float", "kilonova.parts"), EntryPoint("gone", "nowhere:x", "kilonova.parts"),
     EntryPoint("other", "builtins:list", "kilonova.others")],
)  # fmt: skip


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """A number for each look at all installed packages."""
    seen: list[int] = []

    def distributions() -> list[SimpleNamespace]:
        seen.append(1)
        return [SimpleNamespace(entry_points=points) for points in POINTS]

    monkeypatch.setattr(registry, "distributions", distributions)
    registry._points.cache_clear()
    yield seen
    registry._points.cache_clear()


def test_packages_are_looked_at_once(looks: list[int]) -> None:
    assert [*installed("parts")] == ["gone", "one", "text"]
    assert installed("parts")["one"].value == "builtins:int"  # of two the first on the path
    assert [*installed("others")] == ["other"]
    assert installed("nothing") == {}
    assert looks == [1]


def test_a_part_is_our_own_or_an_installed_one(looks: list[int]) -> None:
    parts: Registry[type] = Registry("[x] part", "part", "parts", {"own": complex}, base=object)
    assert parts["own"] is complex
    assert looks == []  # no package is asked for what is ours
    assert parts["one"] is int
    with pytest.raises(ConfigError, match=r"^\[x\] part: there is no part 'two'; there are: own, gone, one, text$"):
        parts["two"]
    with pytest.raises(ConfigError, match=r"^\[x\] part: part gone: nowhere:x can't be loaded: No module"):
        parts["gone"]
    numbers: Registry[type] = Registry("[x] part", "part", "parts", {}, base=int)
    with pytest.raises(ConfigError, match=r"^\[x\] part: part text: builtins:str is no int$"):
        numbers["text"]
