"""`kilonova serve …` by hand: what a cluster for tests would hide."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec

from tests.eventually import PATIENCE, eventually


def write_toml(path: Path, sections: dict[str, dict[str, Any]]) -> Path:
    lines = []
    for name, values in sections.items():
        lines += [f"[{name}]", *(f"{key} = {msgspec.json.encode(value).decode()}" for key, value in values.items())]
    path.write_text("\n".join(lines) + "\n")
    return path


class Served:
    """One command, its log, its end. `python` are words for the interpreter."""

    def __init__(self, log: Path, *words: str, python: Sequence[str] = (), env: dict[str, str] | None = None) -> None:
        self.log = log
        clean = {key: value for key, value in os.environ.items() if not key.startswith("KILONOVA_")}
        with log.open("ab") as output:
            self.popen = subprocess.Popen(
                [sys.executable, *python, "-m", "kilonova", *words], stdout=output, stderr=output,
                env=clean | (env or {}), start_new_session=True,
            )  # fmt: skip

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *_: object) -> None:
        if self.popen.poll() is None:
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()

    def words(self) -> str:
        return self.log.read_text(errors="replace")

    def says(self, text: str) -> None:
        eventually(
            lambda: text in self.words() or self.popen.poll() is not None, lambda: f"{text!r} is not in: {self.words()}"
        )
        assert text in self.words()

    def ended(self, timeout: float = PATIENCE) -> int:
        return self.popen.wait(timeout)

    def terminate(self) -> int:
        self.popen.send_signal(signal.SIGTERM)
        return self.ended()


def health(port: int, path: str = "/healthcheck") -> tuple[int, dict[str, Any]]:
    """(status, body); (0, {}) while there is no answer."""
    try:
        answer = httpx.get(f"http://127.0.0.1:{port}{path}", timeout=120, trust_env=False)
    except httpx.TransportError:
        return 0, {}
    return answer.status_code, answer.json()


def is_ready(port: int) -> bool:
    return health(port)[0] == 200


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
