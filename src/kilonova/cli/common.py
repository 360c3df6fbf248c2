"""What several subcommands share."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import msgspec
import typer
from rich.console import Console

from kilonova.core.errors import CannotStart
from kilonova.settings import Settings, load

STATE = typer.Option(None, "--state", help="Directory that keeps everything (default: /var/lib/kilonova for root).")
CONFIG = typer.Option(None, "--config", help="TOML configuration file.")
FORMAT = typer.Option("text", "-f", "--format", help="text or json")

console = Console()
complaints = Console(stderr=True)


def settings_of(state: Path | None, config: Path | None, **cloud: Any) -> Settings:
    """The settings with those of the command line; None stands for options that were not given."""
    said = {key: value for key, value in cloud.items() if value is not None}
    if state is not None:
        said["state_dir"] = str(state.resolve())
    return load(config, overrides={"cloud": said})


class Running(msgspec.Struct):
    """What a running cloud leaves in `kilonova.json` of its state directory. `started` is the process's start, in the kernel's
    ticks since boot: a later process that got the same number has another start. 0: unknown."""

    pid: int
    url: str
    region: str
    started: int = 0


def running(state_dir: Path) -> Running | None:
    """The cloud that runs from this directory, if one does."""
    try:
        found = msgspec.json.decode((state_dir / "kilonova.json").read_bytes(), type=Running)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return found if is_alive(found.pid, found.started) else None


def is_alive(pid: int, started: int = 0) -> bool:
    """Whether this process runs, is ours, and has this start time; 0: whenever it started."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
    found = start_of(pid)
    return found is not None and started in (0, found) and b"kilonova" in command


def start_of(pid: int) -> int | None:
    """The start of a running process, in ticks since boot. A zombie, as some containers leave them, does not count."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(words[19]) if words and words[0] not in "ZX" else None


def bind(host: str, port: int) -> socket.socket:
    """A listening socket's place, taken first: a port in use is said before anything is started."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise CannotStart(
            f"can't listen on {host} port {port}: {error.strerror}; choose others with --listen and --port"
        ) from error
    return listener


def print_json(data: Any) -> None:
    typer.echo(msgspec.json.format(msgspec.json.encode(data), indent=2).decode())
