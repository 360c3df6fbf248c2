"""Typed configuration: a TOML file and the environment, one msgspec Struct a section.

A key `bus.url` is set by `[bus] url = …` in the file or by `KILONOVA_BUS_URL`; the environment wins. Errors name the file
(or variable), the section and the key.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from kilonova.core import log

T = TypeVar("T", bound=msgspec.Struct)
DERIVED = "derived from"


def doc(description: str, **limits: Any) -> msgspec.Meta:
    """What `kilonova config show` and the reference say of a key; `limits` as msgspec.Meta has them (ge, le, gt …)."""
    return msgspec.Meta(description=description, **limits)


def derived(source: str = "") -> msgspec.Meta:
    """A field that no operator sets by itself: it has the value of the key `SECTION.KEY`, or what the program gives it."""
    return msgspec.Meta(extra={DERIVED: source})


class ConfigError(Exception):
    """The text names file or variable, section, key and what would be right."""


def read(path: Path | None) -> dict[str, dict[str, Any]]:
    """The file's sections; {} without a file."""
    if path is None:
        return {}
    try:
        document = tomllib.loads(path.read_text())
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
    for name, section in document.items():
        if not isinstance(section, dict):
            raise ConfigError(f"{path}: {name}: keys belong in a section such as [cloud]")
    return document


def build(settings: type[T], document: Mapping[str, Mapping[str, Any]], env: Mapping[str, str], source: str) -> T:
    """`settings` is a Struct whose fields are the sections; each section is a Struct with defaults."""
    sections = {f.name: f.type for f in msgspec.structs.fields(settings)}
    for name in document:
        if name not in sections:
            raise ConfigError(f"{source}: [{name}]: unknown section; known are {', '.join(sorted(sections))}")
    made = {}
    for name, kind in sections.items():
        made[name] = _section(name, kind, dict(document.get(name, {})), env, source)
    for name, kind in sections.items():
        given = {key: _found(made, of) for key, of in _sources(kind).items() if of}
        made[name] = msgspec.structs.replace(made[name], **given)
    return settings(**made)


def _found(made: Mapping[str, Any], key: str) -> Any:
    section, _, name = key.partition(".")
    return getattr(made[section], name)


def _sources(kind: Any) -> dict[str, str]:
    """Key → where its value comes from, of those that no operator sets."""
    found = {}
    for name, meta in _metas(kind):
        if meta.extra is not None and DERIVED in meta.extra:
            found[name] = str(meta.extra[DERIVED])
    return found


def _metas(kind: Any) -> Iterator[tuple[str, msgspec.Meta]]:
    hints = get_type_hints(kind, include_extras=True)
    for field in msgspec.structs.fields(kind):
        for meta in getattr(hints[field.name], "__metadata__", ()):
            if isinstance(meta, msgspec.Meta):
                yield field.name, meta


def _section(name: str, kind: Any, values: dict[str, Any], env: Mapping[str, str], source: str) -> Any:
    fields = {f.name: f for f in msgspec.structs.fields(kind)}
    sources = _sources(kind)
    for key in values:
        if sources.get(key):
            raise ConfigError(f"{source}: [{name}] {key}: is set by {sources[key]}")
        if key not in fields or key in sources:
            known = ", ".join(sorted(fields.keys() - sources.keys()))
            raise ConfigError(f"{source}: [{name}] {key}: unknown key; known are {known}")
    for key, key_source in sources.items():
        if key_source and _variable(name, key) in env:
            raise ConfigError(f"environment: {_variable(name, key)}: is set by {key_source}")
    converted = {}
    for key, field in fields.items():
        if key not in sources and (made := _value(name, key, field.type, values, env, source)) is not msgspec.UNSET:
            converted[key] = made
    try:
        return kind(**converted)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{source}: [{name}]: {error}") from None


def _variable(section: str, key: str) -> str:
    return f"KILONOVA_{section}_{key}".replace(".", "_").upper()


def _value(section: str, key: str, kind: Any, values: Mapping[str, Any], env: Mapping[str, str], source: str) -> Any:
    """The key's value from the environment or the file; UNSET for the default. A table with keys of its own may be given whole,
    as JSON in the environment, or key by key."""
    variable = _variable(section, key)
    inner = _struct(kind)
    where = f"environment: {variable}" if variable in env else f"{source}: [{section}] {key}"
    try:
        if inner is None:
            if variable in env:
                return _convert(_from_text(env[variable], kind), kind, strict=False)
            return _convert(values[key], kind, strict=True) if key in values else msgspec.UNSET
        table = _from_text(env[variable], inner) if variable in env else values.get(key, {})
        if not isinstance(table, dict):
            raise msgspec.ValidationError(f"expected a table (an object), got `{type(table).__name__}`")
    except msgspec.ValidationError as error:
        choices = _choices(kind)
        raise ConfigError(f"{where}: {error}" + (f"; known are {', '.join(choices)}" if choices else "")) from None
    return _section(f"{section}.{key}", inner, table, env, f"environment: {variable}" if variable in env else source)


def _choices(kind: Any) -> list[str]:
    """The words that a key may have, of one that has a choice of them."""
    plain = getattr(kind, "__origin__", kind) if hasattr(kind, "__metadata__") else kind
    return [str(word) for word in get_args(plain)] if get_origin(plain) is Literal else []


def _struct(kind: Any) -> Any:
    """The Struct that a field's type is, without what is said about it."""
    plain = getattr(kind, "__origin__", kind) if hasattr(kind, "__metadata__") else kind
    return plain if isinstance(plain, type) and issubclass(plain, msgspec.Struct) else None


def _convert(value: Any, kind: Any, *, strict: bool) -> Any:
    return msgspec.convert(value, kind, strict=strict, dec_hook=_decode_path)


def _decode_path(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise msgspec.ValidationError(f"Expected `str`, got `{type(value).__name__}`")


def _from_text(text: str, kind: Any) -> Any:
    """Environment text for a list field is comma separated, for a table JSON."""
    plain = kind.__origin__ if hasattr(kind, "__metadata__") else kind
    origin = get_origin(plain)
    if origin in (list, tuple):
        return [part.strip() for part in text.split(",") if part.strip()]
    if origin is dict or (isinstance(plain, type) and issubclass(plain, msgspec.Struct)):
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            raise msgspec.ValidationError(f"expected a JSON object: {error}") from None
    return text


def as_toml(settings: msgspec.Struct, *, secret_keys: frozenset[str]) -> str:
    """The effective configuration as TOML, each key below what is said of it; secrets are shown as `***`."""
    lines: list[str] = []
    for section in settings.__struct_fields__:
        lines += _table(section, getattr(settings, section), secret_keys)
    return "\n".join(lines)


def _table(name: str, part: msgspec.Struct, secret_keys: frozenset[str]) -> list[str]:
    lines, tables = [f"[{name}]"], []
    for key, description in descriptions(type(part)).items():
        value = getattr(part, key)
        if isinstance(value, msgspec.Struct):
            tables += _table(f"{name}.{key}", value, secret_keys)
            continue
        if description:
            lines.append(f"# {description}")
        if value is None:
            lines.append(f"# {key} is not set")
            continue
        shown = "***" if key in secret_keys and value else log.redact(msgspec.to_builtins(value, enc_hook=str))
        lines.append(f"{key} = {_toml_value(shown)}")
    return [*lines, "", *tables]


def descriptions(kind: Any) -> dict[str, str]:
    """Key → its description, of the keys that an operator may set."""
    said: dict[str, str] = {}
    for name, meta in _metas(kind):
        said[name] = said.get(name) or meta.description or ""
    hidden = _sources(kind)
    return {f.name: said.get(f.name, "") for f in msgspec.structs.fields(kind) if f.name not in hidden}


def _toml_value(value: Any) -> str:
    if isinstance(value, dict):
        return (
            "{ " + ", ".join(f"{_toml_value(k)} = {_toml_value(v)}" for k, v in value.items() if v is not None) + " }"
        )
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # inf, -inf, nan
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml_value(v) for v in value) + "]"
    return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")  # the one that JSON leaves and TOML forbids
