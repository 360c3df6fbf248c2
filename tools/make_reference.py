"""The pages under docs/reference that are made from the program (HTTP APIs, configuration, command line, policies, states,
steps, errors) and from results of conformance suites. `make docs` runs it; by hand: `python -m tools.make_reference FOLDER`."""

from __future__ import annotations

import argparse
import inspect
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args, get_origin

import click
import msgspec
import typer.main

from kilonova.cli.main import app
from kilonova.components import SERVICES, all_in_one, core_deps
from kilonova.compute.actions.base import ANY_VM, Action
from kilonova.compute.actions.registry import ACTIONS
from kilonova.compute.states import STATUS
from kilonova.compute.steps import STEPS
from kilonova.core.config import descriptions
from kilonova.core.errors import KilonovaError
from kilonova.core.faults import Faults
from kilonova.core.web.gateway import Gateway
from kilonova.core.web.transport import AsgiTransport
from kilonova.settings import SecretSettings, Settings, load
from tools.conformance_results import conformance, table
from tools.http_reference import http, window

TITLES = {
    "identity": "Identity API (Keystone v3)",
    "image": "Image API (Glance v2)",
    "placement": "Placement API",
    "compute": "Compute API (Nova v2.1)",
    "network": "Network API (Neutron v2.0)",
    "volume": "Volume API (Cinder v3)",
    "metadata": "Metadata service",
    "ops": "Operations",
}


def write_reference(folder: Path) -> None:
    """Write every page into the folder; those whose text is unchanged are left alone, so that a build stays incremental."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as state:
        by_name = {service.prefix.strip("/"): service for service in services(Path(state))}
    pages = {
        "configuration": _configuration(),
        "command-line": _command_line(),
        "policies": _policies(by_name),
        "states": _states(),
        "errors": _errors(),
        "conformance": _page("Conformance", *conformance()),
        **{
            f"http-{name}": _page(TITLES[name], *http(name, by_name[name].routes, documented=name != "metadata"))
            for name in TITLES
        },
    }
    for name, text in pages.items():
        page = folder / f"{name}.md"
        if not page.exists() or page.read_text() != text:
            page.write_text(text)


def services(state: Path) -> list[Any]:
    """Every service with an HTTP API, built but not started, on a scratch directory."""
    settings = load(None, overrides={"cloud": {"state_dir": str(state)}, "agent": {"driver": "fake"}}, env={})
    secrets = SecretSettings(**dict.fromkeys(SecretSettings.__struct_fields__, "unused"))
    endpoints = {name: f"http://127.0.0.1/{name}" for name in SERVICES}
    deps = core_deps(settings, secrets, AsgiTransport(Gateway({})), endpoints, Faults(), name="docs", alone=True)
    return [service for service in all_in_one(deps) if hasattr(service, "routes")]


# ---- pages


def _configuration() -> str:
    parts = [
        "Keys of `kilonova.toml`, by section. `KILONOVA_<SECTION>_<KEY>` in the environment wins over the file, the command line "
        "over both. `kilonova config show` prints what is in force, `kilonova config check` says what is wrong."
    ]
    for section in msgspec.structs.fields(Settings):
        parts += _section(section.name, section.type)
    return _page("Configuration", *parts)


def _section(name: str, kind: Any) -> list[str]:
    said, rows, tables = descriptions(kind), [], []
    for field in msgspec.structs.fields(kind):
        if field.name not in said:
            continue
        inner = get_args(field.type)[0] if hasattr(field.type, "__metadata__") else field.type
        if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            tables += _section(f"{name}.{field.name}", inner)
            continue
        rows.append((f"`{field.name}`", f"`{_type(field.type)}`", _default(field), said[field.name]))
    keys = [table(("key", "type", "default", "meaning"), rows)] if rows else []
    return [f"## [{name}]", _prose(kind), *keys, *tables]


def _command_line() -> str:
    parts = ["What `kilonova COMMAND --help` prints."]
    for path, command in _commands(typer.main.get_command(app), ("kilonova",)):
        context = click.Context(command, info_name=" ".join(path))
        parts += [f"## {' '.join(path)}", f"```text\n{command.get_help(context)}\n```"]
    return _page("Command line", *parts)


def _policies(services: dict[str, Any]) -> str:
    parts = [
        "Rules that decide which callers may do what, with upstream's names. A file `SERVICE.yaml` in `[cloud] policy_dir` "
        "changes them, in the syntax of oslo.policy."
    ]
    for name in TITLES:
        module = sys.modules.get(f"kilonova.{name}.app")
        rules: dict[str, str] = getattr(module, "RULES", {})
        if rules:
            rows = [(f"`{rule}`", f"`{check}`" if check else "anyone") for rule, check in sorted(rules.items())]
            parts += [f"## {TITLES[name]}", table(("rule", "allowed callers"), rows)]
    return _page("Policies", *parts)


def _states() -> str:
    statuses = [
        (f"`{vm}`", f"`{status}`", ", ".join(f"`{s}` while `{t}`" for t, s in sorted(during.items())))
        for vm, (status, during) in STATUS.items()
    ]
    steps = [
        (
            number,
            f"`{step.name}`",
            step.component,
            f"{step.deadline:g}",
            f"`{step.task_state}`" if step.task_state else "",
        )
        for number, step in enumerate(STEPS, 1)
    ]
    return _page(
        "States, actions and steps",
        "## Server actions",
        "The key of the body of `POST /servers/ID/action`, and what the action does.",
        table(
            (
                "action",
                "rule",
                "done by",
                "from vm_state",
                "from task_state",
                "task_state meanwhile",
                "ends in",
                "steps on the host",
                "microversions",
            ),
            [_action(action) for action in ACTIONS],
        ),
        "## Status",
        "What clients see as `status`, by `vm_state`.",
        table(("vm_state", "status", "while a task runs"), statuses),
        "## Steps of a launch",
        "In their order; see [how a server is launched](../explanation/launch.md). A deadline is in seconds.",
        table(("number", "step", "component", "deadline", "task_state from here on"), steps),
    )


def _action(action: Action) -> tuple[str, ...]:
    return (
        f"`{action.wire}`" if action.wire else f"({action.name})",
        f"`{action.rule}`",
        action.runs.value,
        "any" if action.vm_states == ANY_VM else _words(action.vm_states),
        "any" if action.task_states is None else _words(action.task_states),
        f"`{action.task}`" if action.task else "",
        f"`{action.ends.value}`" if action.ends else "as it was",
        ", ".join(f"`{step.name}`" for step in action.steps),
        window(action.since, action.until),
    )


def _errors() -> str:
    rows = [
        (f"`{name}`", kind.status, kind.template.replace("\n", " "))
        for name, kind in sorted(KilonovaError.registry.items())
        if name.count(".") == 1
    ]
    return _page(
        "Errors",
        "Names, HTTP status and text; a word in braces is filled in.",
        table(("error", "status", "text"), rows),
    )


# ---- words


def _commands(command: Any, path: tuple[str, ...]) -> Iterable[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, inner in sorted(getattr(command, "commands", {}).items()):
        yield from _commands(inner, (*path, name))


def _prose(kind: Any) -> str:
    text = kind.__dict__.get("__doc__") or ""
    return inspect.cleandoc(text) if not text.startswith(f"{kind.__name__}(") else ""


def _type(kind: Any) -> str:
    origin = get_origin(kind)
    if hasattr(kind, "__metadata__"):
        return _type(get_args(kind)[0])
    if origin is None:
        return str(getattr(kind, "__name__", kind))
    return str(kind).replace("typing.", "").replace("kilonova.", "")


def _default(field: Any) -> str:
    value = field.default if field.default is not msgspec.NODEFAULT else None
    if field.default_factory is not msgspec.NODEFAULT:
        value = field.default_factory()
    plain = msgspec.to_builtins(value, enc_hook=str)
    return f"`{msgspec.json.encode(plain).decode()}`" if plain not in ("", None) else "not set"


def _words(values: Iterable[Any]) -> str:
    return ", ".join(sorted(f"`{value}`" if value else "none" for value in values))


def _page(title: str, *parts: str) -> str:
    return "\n\n".join([f"# {title}", *(part for part in parts if part)]) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tools.make_reference", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the pages are written; made if it is missing")
    write_reference(parser.parse_args().folder)
