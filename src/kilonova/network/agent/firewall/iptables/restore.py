"""From chains to what iptables-restore reads: all of them, or what changed. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from kilonova.network.agent.firewall.iptables.compile import Chains, Tables

LONG = 16  # rules: shorter chains are written anew
BUILTIN = {"raw": {"PREROUTING": "raw"}, "filter": {"FORWARD": "forward", "INPUT": "input"}}


def closed(prefix: str, tables: Tables, refused: Collection[tuple[str, str]]) -> Tables:
    """Without the refused (chain, rule): a port's chain that had one drops everything, a group's admits what its other rules
    admit."""
    if not refused:
        return tables
    ports = (f"{prefix}-i-", f"{prefix}-o-")
    chains = {}
    for chain, rules in tables.get("filter", {}).items():
        kept = tuple(rule for rule in rules if (chain, rule) not in refused)
        chains[chain] = ("-j DROP",) if len(kept) < len(rules) and chain.startswith(ports) else kept
    return tables | {"filter": chains}


def restore_text(prefix: str, new: Tables, old: Mapping[str, Mapping[str, tuple[str, ...] | None]]) -> str:
    """What `iptables-restore --noflush` reads to get from `old` to `new` in one step, "" when they are equal.

    A chain in `old` whose rules are unknown (None) is written again; with `old` empty the text is complete. The jumps
    from the built-in chains are set when `old` lacks the chain they lead to."""
    return "".join(_table(prefix, table, new.get(table, {}), old.get(table, {})) for table in BUILTIN)


def _table(prefix: str, table: str, new: Chains, old: Mapping[str, tuple[str, ...] | None]) -> str:
    changed = [c for c in new if (was := old.get(c)) is None or (was is not new[c] and was != new[c])]
    gone = [c for c in old if c not in new]
    if not changed and not gone:
        return ""
    edits = {c: found for c in changed if (found := _edits(c, old.get(c) or (), new[c])) is not None}
    anew = [c for c in changed if c not in edits]
    lines = [f"*{table}", *(f":{chain} - [0:0]" for chain in (*anew, *gone))]
    for builtin, kind in BUILTIN[table].items():
        hook = f"{prefix}-{kind}"
        if hook in gone:
            lines.append(f"-D {builtin} -j {hook}")
        elif hook in new and hook not in old:
            lines.append(f"-I {builtin} 1 -j {hook}")
    lines += [f"-A {chain} {rule}" for chain in anew for rule in new[chain]]
    lines += [line for found in edits.values() for line in found]
    return "\n".join([*lines, *(f"-X {chain}" for chain in gone), "COMMIT", ""])


def _edits(chain: str, old: tuple[str, ...], new: tuple[str, ...]) -> list[str] | None:
    """The few rules to delete and insert where a long chain keeps the others in their order; None: it is written anew. What is
    deleted is named as it is written, so that a chain which others have changed is refused."""
    if min(len(old), len(new)) < LONG:
        return None
    before, after = set(old), set(new)
    lost, gained = [r for r in old if r not in after], [(i, r) for i, r in enumerate(new, 1) if r not in before]
    if (len(lost) + len(gained)) * 8 > len(new) or len(before) < len(old) or len(after) < len(new):
        return None
    if [r for r in old if r in after] != [r for r in new if r in before]:
        return None
    inserted = [f"-A {chain} {rule}" if at == len(new) else f"-I {chain} {at} {rule}" for at, rule in gained]
    return [*(f"-D {chain} {rule}" for rule in lost), *inserted]
