"""Typed configuration: a TOML file and the environment, one msgspec Struct a section.

A key `bus.url` is set by `[bus] url = …` in the file or by `KILONOVA_BUS_URL`; the environment wins. Errors name the file
(or variable), the section and the key.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import msgspec

from kilonova.core import log

T = TypeVar("T", bound=msgspec.Struct)


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
    return settings(**made)


def _section(name: str, kind: Any, values: dict[str, Any], env: Mapping[str, str], source: str) -> Any:
    fields = {f.name: f for f in msgspec.structs.fields(kind)}
    for key in values:
        if key not in fields:
            raise ConfigError(f"{source}: [{name}] {key}: unknown key; known are {', '.join(sorted(fields))}")
    converted = {}
    for key, field in fields.items():
        variable = f"KILONOVA_{name}_{key}".upper()
        try:
            if variable in env:
                where = f"environment: {variable}"
                converted[key] = _convert(_from_text(env[variable], field.type), field.type, strict=False)
            elif key in values:
                where = f"{source}: [{name}] {key}"
                converted[key] = _convert(values[key], field.type, strict=True)
        except msgspec.ValidationError as error:
            raise ConfigError(f"{where}: {error}") from None
    try:
        return kind(**converted)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{source}: [{name}]: {error}") from None


def _convert(value: Any, kind: Any, *, strict: bool) -> Any:
    return msgspec.convert(value, kind, strict=strict, dec_hook=_decode_path)


def _decode_path(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise msgspec.ValidationError(f"Expected `str`, got `{type(value).__name__}`")


def _from_text(text: str, kind: Any) -> Any:
    """Environment text for a list field is comma separated, for a table JSON."""
    origin = getattr(kind, "__origin__", None)
    if origin in (list, tuple):
        return [part.strip() for part in text.split(",") if part.strip()]
    if origin is dict or (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            raise msgspec.ValidationError(f"expected a JSON object: {error}") from None
    return text


def as_toml(settings: msgspec.Struct, *, secret_keys: frozenset[str]) -> str:
    """The effective configuration as TOML; secrets are shown as `***`."""
    lines: list[str] = []
    for section in settings.__struct_fields__:
        lines.append(f"[{section}]")
        part = getattr(settings, section)
        for key, description in _descriptions(type(part)).items():
            value = getattr(part, key)
            if description:
                lines.append(f"# {description}")
            if value is None:
                lines.append(f"# {key} is not set")
                continue
            shown = "***" if key in secret_keys and value else log.redact(msgspec.to_builtins(value, enc_hook=str))
            lines.append(f"{key} = {_toml_value(shown)}")
        lines.append("")
    return "\n".join(lines)


def _descriptions(kind: type[msgspec.Struct]) -> dict[str, str]:
    """Key → its description, "" where it has none."""
    hints = get_type_hints(kind, include_extras=True)
    metas = {f.name: getattr(hints[f.name], "__metadata__", ()) for f in msgspec.structs.fields(kind)}
    return {
        name: next((m.description or "" for m in of if isinstance(m, msgspec.Meta)), "") for name, of in metas.items()
    }


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
