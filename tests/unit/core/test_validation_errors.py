"""What is wrong with a body, in words."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args, get_type_hints

import msgspec
import pytest
from msgspec import UNSET, Meta, UnsetType

from kilonova.core.web.validation_errors import violation_of
from kilonova.core.web.wire import Body, Version, at_version, versions

Uuid = Annotated[str, Meta(pattern=r"\A[0-9a-f-]{36}\Z", description="a UUID")]
Count = Annotated[str, Meta(pattern=r"\A[0-9]+\Z", description="a number")] | Annotated[int, Meta(ge=0, le=5)]


class Network(Body):
    uuid: Uuid | None = None
    tag: Annotated[str | None, versions("2.32", "2.36")] = None
    tag_now: Annotated[str | UnsetType, versions("2.42", name="tag")] = UNSET


class Server(Body, rename={"disk": "OS-DCF:diskConfig"}):
    name: Annotated[str, Meta(min_length=1, max_length=4)]
    networks: list[Network] | Literal["auto", "none"] = "none"
    disk: Literal["AUTO", "MANUAL"] = "AUTO"
    count: Count = 1
    ratio: Annotated[float, Meta(gt=0, lt=2)] = 1
    metadata: Annotated[dict[Annotated[str, Meta(max_length=3)], str], Meta(max_length=2)] = msgspec.field(
        default_factory=dict
    )
    options: Annotated[dict[str, Any], Meta(max_length=0)] = msgspec.field(default_factory=dict)
    groups: Annotated[list[str], Meta(max_length=1)] = msgspec.field(default_factory=list)
    strange: Annotated[str, Meta(pattern=r"\Ax")] = "x"
    tags: Annotated[list[str], versions("2.52")] = msgspec.field(default_factory=list)


class Create(Body):
    server: Server


@pytest.mark.parametrize(
    ("server", "says"),
    [
        ('{"name": ""}', "server.name must not be empty"),
        ('{"name": "abcde"}', "server.name must have at most 4 characters"),
        ('{"name": 7}', "server.name must be a string, not an integer"),
        ('{"name": 1e999}', "server.name holds a number that is too large"),
        ("{}", "server must have 'name', a required property"),
        ('{"name": "a", "colour": 1}',
         "server has no property 'colour': Additional properties are not allowed ('colour' was unexpected)"),
        ('{"name": "a", "networks": [{"uuid": "x"}]}', "server.networks[0].uuid must be a UUID"),
        ('{"name": "a", "networks": "some"}', "server.networks must be 'auto' or 'none'"),
        ('{"name": "a", "networks": [{}, 1]}', "server.networks[1] must be an object, not an integer"),
        ('{"name": "a", "OS-DCF:diskConfig": "X"}', "server.OS-DCF:diskConfig must be 'AUTO' or 'MANUAL'"),
        ('{"name": "a", "count": "x"}', "server.count must be a number"),
        ('{"name": "a", "count": 9}', "server.count must be at most 5"),
        ('{"name": "a", "count": []}', "server.count must be an integer or a string, not a list"),
        ('{"name": "a", "ratio": 2}', "server.ratio must be less than 2"),
        ('{"name": "a", "metadata": {"abcd": "x"}}', "server.metadata has a key that must have at most 3 characters"),
        ('{"name": "a", "metadata": {"a": 1}}', "server.metadata[...] must be a string, not an integer"),
        ('{"name": "a", "metadata": {"a": "", "b": "", "c": ""}}', "server.metadata must have at most 2 entries"),
        ('{"name": "a", "options": {"a": 1}}', "server.options is not supported: leave it out"),
        ('{"name": "a", "groups": ["a", "b"]}', "server.groups must have at most 1 item"),
        ('{"name": "a", "strange": "y"}', "server.strange has characters that are not allowed there"),
        ('{"name": "a", "tags": ["x"]}', "server has 'tags' only at microversion 2.52 or later"),
        ('{"name": "a", "networks": [{"tag": "x"}]}', "server.networks[0] has 'tag' only at microversion 2.32 to 2.36"),
        ("[]", "server must be an object, not a list"),
    ],
)  # fmt: skip
def test_words(server: str, says: str) -> None:
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.json.decode('{"server": ' + server + "}", type=at_version(Create, Version(2, 1)))
    found = violation_of(refused.value, Create)
    assert str(found) == says


def test_the_body_itself() -> None:
    for text, says in (
        ("[]", "the body must be an object, not a list"),
        ("{}", "the body must have 'server', a required"),
    ):
        with pytest.raises(msgspec.ValidationError) as refused:
            msgspec.json.decode(text, type=Create)
        assert str(violation_of(refused.value, Create)).startswith(says)


def test_what_a_client_may_ask_of_a_violation() -> None:
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.json.decode('{"server": {"name": "a", "tags": []}}', type=at_version(Create, Version(2, 1)))
    found = violation_of(refused.value, Create)
    assert (found.where, found.unknown) == ("server", "tags")
    assert found.versions is not None
    assert found.versions[0] == Version(2, 52)


def metas(kind: Any) -> Iterator[Meta]:
    for arg in getattr(kind, "__metadata__", ()):
        if isinstance(arg, Meta):
            yield arg
    for arg in (*get_args(kind), *([kind.__origin__] if hasattr(kind, "__metadata__") else [])):
        if not isinstance(arg, Meta):
            yield from metas(arg)


def test_every_pattern_of_a_body_has_words_and_both_ends() -> None:
    """`$` also fits before a line end at the end of a text: `\\Z` does not."""
    checked = 0
    for service in ("compute", "identity", "network", "placement", "image"):
        package = importlib.import_module(f"kilonova.{service}")
        modules = pkgutil.walk_packages(package.__path__, package.__name__ + ".")
        for item in (module for module in modules if "schemas" in module.name.split(".")):
            for kind in vars(importlib.import_module(item.name)).values():
                if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
                    continue
                for name, hint in get_type_hints(kind, include_extras=True).items():
                    for meta in (m for m in metas(hint) if m.pattern):
                        assert meta.description, f"{kind}.{name}: {meta.pattern} has no description"
                        assert meta.pattern.startswith(("\\A", "^")), (kind, name, meta.pattern)
                        assert meta.pattern.endswith("\\Z"), (kind, name, meta.pattern)
                        checked += 1
    assert checked > 100
