"""The filters on the host: reads what is there, writes what changed, each family in one atomic step."""

from __future__ import annotations

import asyncio
import re

from kilonova.core import log
from kilonova.network.agent.bridge import l2
from kilonova.network.agent.bridge.commands import run
from kilonova.network.agent.bridge.compile import BUILTIN, Filters, Tables, restore_text
from kilonova.network.agent.dataplane import DataPlaneError

TOOLS = {4: "iptables", 6: "ip6tables"}
SAVED = re.compile(r"^(?:\*(?P<table>\w+)|:(?P<chain>\S+) .*|-A (?P<from>\S+) (?P<rule>.*))$", re.M)
HOOK = re.compile(r"-j [a-z0-9]{1,4}-(raw|forward|input)", re.I)

Present = dict[str, dict[str, tuple[str, ...] | None]]


class FilterTables:
    """Knows what it wrote last, so that a change of one port writes one port's chains."""

    def __init__(self, prefix: str, timeout: float) -> None:
        self.prefix, self.timeout = prefix, timeout
        self.logger = log.get("network.filters")
        self._written: dict[int, Tables] = {}
        self._l2: l2.L2 | None = None
        self._l2_known = False

    async def apply(self, filters: Filters) -> bool:
        """Layer 2 first: a new port's frames are checked before its chains let any through. Returns whether
        anything was written; raises DataPlaneError, and then the family it names is as it was."""
        for problem in filters.problems:
            self.logger.warning("filter left out", problem=problem)
        changed = await self._apply_l2(filters.l2)
        done = await asyncio.gather(*(self._apply_family(v, filters.tables[v]) for v in (4, 6)), return_exceptions=True)
        for result in done:
            if isinstance(result, BaseException):
                raise result
            changed |= result
        return changed

    async def _apply_l2(self, wanted: l2.L2 | None) -> bool:
        table = f"{self.prefix}_l2"
        if self._l2_known and wanted == self._l2:
            return False
        if self._l2_known and wanted is not None and self._l2 is not None:
            try:
                await run("nft", "-f", "-", text=l2.change(self._l2, wanted, table), timeout=self.timeout)
                self._l2 = wanted
                return True
            except DataPlaneError as why:
                self.logger.warning("table differs from what was written; writing all", reason=str(why))
                self._l2_known = False
        text = l2.removal(table) if wanted is None else l2.script(wanted, table)
        await run("nft", "-f", "-", text=text, timeout=self.timeout)
        self._l2, self._l2_known = wanted, True
        return True

    async def _apply_family(self, version: int, tables: Tables) -> bool:
        if version in self._written:
            text = restore_text(self.prefix, tables, self._written[version])
            if not text:
                return False
            try:
                await self._restore(version, text)
                self._written[version] = tables
                return True
            except DataPlaneError as why:
                self.logger.warning("filters differ from what was written; writing all", reason=str(why))
                del self._written[version]
        text = restore_text(self.prefix, tables, await self.present(version))
        if text:
            await self._restore(version, text)
        self._written[version] = tables
        return bool(text)

    async def _restore(self, version: int, text: str) -> None:
        await run(f"{TOOLS[version]}-restore", "-w", "10", "--noflush", text=text, timeout=self.timeout)

    async def present(self, version: int) -> Present:
        """Our chains on the host, rules unknown; what leads to them is made to stand once, before the host's own."""
        saved = await run(f"{TOOLS[version]}-save", timeout=self.timeout)
        found: Present = {}
        rules: dict[tuple[str, str], list[str]] = {}
        table = ""
        for line in SAVED.finditer(saved):
            table = line["table"] or table
            if line["chain"] and line["chain"].startswith(f"{self.prefix}-") and table in BUILTIN:
                found.setdefault(table, {})[line["chain"]] = None
            elif line["from"] and line["from"] in BUILTIN.get(table, {}):
                rules.setdefault((table, line["from"]), []).append(line["rule"])
        await self._mend_hooks(version, found, rules)
        return found

    async def _mend_hooks(self, version: int, found: Present, rules: dict[tuple[str, str], list[str]]) -> None:
        lines = []
        for table, hooks in BUILTIN.items():
            mends = []
            for builtin, kind in hooks.items():
                hook, there = f"{self.prefix}-{kind}", rules.get((table, builtin), [])
                if hook in found.get(table, {}) and not _in_front(f"-j {hook}", there):
                    mends += [f"-D {builtin} -j {hook}"] * there.count(f"-j {hook}") + [f"-I {builtin} 1 -j {hook}"]
            lines += [f"*{table}", *mends, "COMMIT"] if mends else []
        if lines:
            await self._restore(version, "\n".join([*lines, ""]))

    async def chains(self) -> set[str]:
        """Names of all our chains on the host, of both families."""
        found = [await self.present(version) for version in TOOLS]
        return {chain for tables in found for chains in tables.values() for chain in chains}


def _in_front(jump: str, rules: list[str]) -> bool:
    """Whether `jump` stands once, with nothing before it but other clouds' jumps."""
    return rules.count(jump) == 1 and all(HOOK.fullmatch(rule) for rule in rules[: rules.index(jump)])
