"""Running a tool: argument list, text on stdin, a time-out, and an error that names the tool and the reason."""

from __future__ import annotations

import asyncio
import os
import re

from kilonova.core import subprocesses
from kilonova.network.agent.dataplane import DataPlaneError

PACKAGES = {
    "iptables-restore": "iptables",
    "ip6tables-restore": "iptables",
    "iptables-save": "iptables",
    "ip6tables-save": "iptables",
    "nft": "nftables",
    "dnsmasq": "dnsmasq-base",
    "conntrack": "conntrack",
    "nsenter": "util-linux",
}


class Refused(DataPlaneError):
    """A tool did not take its input; `lines` are those of the input that it named."""

    def __init__(self, reason: str, lines: tuple[str, ...]) -> None:
        super().__init__(reason)
        self.lines = lines


def missing(tool: str) -> DataPlaneError:
    return DataPlaneError(f"{tool} not found: install the package {PACKAGES.get(tool, tool)}")


async def run(*argv: str, text: str = "", timeout: float = 30.0, ok: tuple[int, ...] = (0,)) -> str:
    """Standard output of `argv`; raises DataPlaneError with its last words when it fails."""
    given = _file(text)
    try:
        process = await subprocesses.start(argv, stdin=given)
    except FileNotFoundError:
        raise missing(argv[0]) from None
    finally:
        os.close(given)
    try:
        async with asyncio.timeout(timeout):
            out, err = await asyncio.gather(process.stdout.read(), process.stderr.read())
            code = await process.wait()
    except TimeoutError:
        raise DataPlaneError(f"{argv[0]} did not end within {timeout:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if code not in ok:
        words, lines = err.decode(errors="replace"), named_lines(err.decode(errors="replace"), text)
        raise Refused(f"{' '.join(argv)}: {explain(words, lines)}", tuple(lines.values()))
    return out.decode(errors="replace")


def _file(text: str) -> int:
    """An open file in memory: unlike a pipe, a tool that stops reading early does not break it."""
    descriptor = os.memfd_create("input")
    os.write(descriptor, text.encode())
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def named_lines(error: str, text: str) -> dict[int, str]:
    """The lines of a tool's input that its words name, by number."""
    lines = text.split("\n")
    numbers = {int(n) for found in re.findall(r"line:? (\d+)|^\S*?:(\d+):", error, re.M) for n in found if n}
    return {n: lines[n - 1] for n in sorted(numbers) if 0 < n <= len(lines)}


def explain(error: str, lines: dict[int, str]) -> str:
    """A tool's words, with the lines of its input that they name."""
    named = [f"line {number}: {line}" for number, line in lines.items()]
    return "; ".join([*(" ".join(error.split()) or "no reason given",), *named])
