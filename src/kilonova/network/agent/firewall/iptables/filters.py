"""The filters on the host: reads what is there, writes what changed, each family in one atomic step."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping

import msgspec

from kilonova.core import log
from kilonova.network.agent.dataplane import DataPlaneError, Fault
from kilonova.network.agent.firewall.iptables import layer2
from kilonova.network.agent.firewall.iptables.compile import Chains, Filters, Tables
from kilonova.network.agent.firewall.iptables.restore import BUILTIN, closed, restore_text
from kilonova.network.agent.system.commands import Refused, run
from kilonova.network.agent.system.names import LINE, chain_owner

TOOLS = {4: "iptables", 6: "ip6tables"}
SAVED = re.compile(r"^(?:\*(?P<table>\w+)|:(?P<chain>\S+) .*|-A (?P<from>\S+) (?P<rule>.*))$", re.M)
HOOK = re.compile(r"-j [a-z0-9]{1,4}-(raw|forward|input)", re.I)

WRITTEN = re.compile(r"(?:-A|add rule bridge \S+) (?P<chain>\S+) (?P<rule>.+)")
LAYER_2 = 2  # beside the families 4 and 6
TRIES = 100  # how many refused rules are left out before the whole is given up

Present = dict[str, dict[str, tuple[str, ...] | None]]


class FilterTables:
    """Knows what it wrote last, so that a change of one port writes one port's chains."""

    def __init__(self, prefix: str, timeout: float) -> None:
        self.prefix, self.timeout = prefix, timeout
        self.logger = log.get("network.filters")
        self._written: dict[int, Tables] = {}
        self._l2: layer2.L2 | None = None
        self._l2_known = False
        self._refused: dict[int, dict[tuple[str, str], str]] = {LAYER_2: {}, 4: {}, 6: {}}  # (chain, rule) → why

    async def apply(self, filters: Filters) -> list[Fault]:
        """Layer 2 first: a new port's frames are checked before its chains let any through. A rule that a tool refuses is left
        out, and what it would have admitted is not; the answer names the ports, groups and tunnels (by the beginning of
        their ids). Raises DataPlaneError for what no single rule is to blame for; the family it names is as it was."""
        await self._apply_l2(filters.l2)
        done = await asyncio.gather(*(self._apply_family(v, filters.tables[v]) for v in (4, 6)), return_exceptions=True)
        for result in done:
            if isinstance(result, BaseException):
                raise result
        return [*filters.problems, *self._faults()]

    def _faults(self) -> list[Fault]:
        found = {}
        for refused in self._refused.values():
            for (chain, rule), why in refused.items():
                owner = chain_owner(chain, self.prefix)
                kind = "network" if chain.startswith("t-") else "security group" if len(owner) > 11 else "port"
                reason = f"rule left out: {rule!r}: {why}"
                found[chain] = Fault(kind=kind, id=owner or chain.partition("-")[2], reason=reason, lasting=True)
        return [*found.values()]

    def _refuse(self, version: int, why: DataPlaneError) -> bool:
        """Remember the rules that a tool's refusal names; whether there is one that belongs to a single port, group or tunnel
        and was not known."""
        before = len(self._refused[version])
        for line in why.lines if isinstance(why, Refused) else ():
            found = WRITTEN.fullmatch(line.strip())
            if found and (
                found["chain"].startswith(("p-", "t-", "e-", "i-")) or chain_owner(found["chain"], self.prefix)
            ):
                self._refused[version][found["chain"], found["rule"]] = str(why)
        return len(self._refused[version]) > before

    def _check(self, version: int, wanted: Chains, written: Mapping[str, tuple[str, ...] | None]) -> None:
        """Forget refused rules that are wanted no more; refuse what cannot be a line, where it has changed."""
        refused = self._refused[version]
        for chain, rule in [known for known in refused if known[1] not in wanted.get(known[0], ())]:
            del refused[chain, rule]
        for chain, rules in wanted.items():
            if written.get(chain) != rules:
                refused |= {(chain, rule): "it is no line" for rule in rules if not LINE.fullmatch(rule)}

    async def _apply_l2(self, wanted: layer2.L2 | None) -> None:
        table = f"{self.prefix}_l2"
        known = self._l2 if self._l2_known and self._l2 is not None else layer2.L2()
        self._check(LAYER_2, {} if wanted is None else wanted.chains(), known.chains())
        for _ in range(TRIES):
            allowed = wanted if wanted is None else layer2.closed(wanted, self._refused[LAYER_2])
            if self._l2_known and allowed == self._l2:
                return
            try:
                await run("nft", "-f", "-", text=self._l2_text(allowed, table), timeout=self.timeout)
            except DataPlaneError as why:
                if self._l2_known:
                    self.logger.warning("table differs from the one written: rewriting it", reason=str(why))
                    self._l2_known = False
                elif not self._refuse(LAYER_2, why):
                    raise
            else:
                self._l2, self._l2_known = allowed, True
                return
        raise DataPlaneError(f"nft refuses more than {TRIES} rules")

    def _l2_text(self, wanted: layer2.L2 | None, table: str) -> str:
        if wanted is None:
            return layer2.removal(table)
        return (
            layer2.change(self._l2, wanted, table)
            if self._l2_known and self._l2 is not None
            else layer2.script(wanted, table)
        )

    async def _apply_family(self, version: int, wanted: Tables) -> None:
        for _ in range(TRIES):
            known = version in self._written
            old = self._written[version] if known else await self.present(version)
            self._check(version, wanted.get("filter", {}), old.get("filter", {}))
            tables = closed(self.prefix, wanted, self._refused[version])
            text = restore_text(self.prefix, tables, old)
            try:
                if text:
                    await self._restore(version, text)
            except DataPlaneError as why:
                if known:  # others may have changed the chains: no rule is to blame yet
                    self.logger.warning("filters differ from those written: rewriting them", reason=str(why))
                    del self._written[version]
                elif not self._refuse(version, why):
                    raise
            else:
                self._written[version] = tables
                return
        raise DataPlaneError(f"{TOOLS[version]}-restore refuses more than {TRIES} rules")

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

    async def l2_chains(self) -> set[str]:
        """Names of the chains at layer 2 that belong to ports and to devices that lead to other hosts."""
        listed = await run("nft", "-j", "list", "chains", "bridge", timeout=self.timeout)
        found = [item.get("chain", {}) for item in msgspec.json.decode(listed)["nftables"]]
        ours = [chain["name"] for chain in found if chain.get("table") == f"{self.prefix}_l2" and "hook" not in chain]
        return set(ours)

    async def chains(self) -> set[str]:
        """Names of all our chains on the host, of both families."""
        found = [await self.present(version) for version in TOOLS]
        return {chain for tables in found for chains in tables.values() for chain in chains}


def _in_front(jump: str, rules: list[str]) -> bool:
    """Whether `jump` exists once, with nothing before it but other clouds' jumps."""
    return rules.count(jump) == 1 and all(HOOK.fullmatch(rule) for rule in rules[: rules.index(jump)])
