"""What is written when a tool refuses a rule, with tools that only remember."""

from __future__ import annotations

import pytest

from kilonova.network.agent.dataplane import DataPlaneError
from kilonova.network.agent.firewall.iptables import filters as module
from kilonova.network.agent.firewall.iptables.compile import Filters, Tables
from kilonova.network.agent.firewall.iptables.filters import FilterTables
from kilonova.network.agent.firewall.iptables.layer2 import L2
from kilonova.network.agent.system.commands import Refused, explain, named_lines

PORT, OTHER, GROUP = "33333333-33", "44444444-44", "22222222222242228222"


class Tools:
    """Takes every input but one with a `refused` text in it, of which it names the line; `lost` fails once without a line."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.refused: tuple[str, ...] = ()
        self.lost = False

    async def __call__(self, *argv: str, text: str = "", timeout: float = 30, ok: tuple[int, ...] = (0,)) -> str:
        if argv[0].endswith("-save"):
            return ""
        for number, line in enumerate(text.split("\n"), 1):
            if any(word in line for word in self.refused):
                words = f"line {number} failed"
                lines = named_lines(words, text)
                raise Refused(f"{argv[0]}: {explain(words, lines)}", tuple(lines.values()))
        if self.lost:
            self.lost = False
            raise DataPlaneError(f"{argv[0]}: no such chain")
        self.written.append(text)
        return ""


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> Tools:
    tools = Tools()
    monkeypatch.setattr(module, "run", tools)
    return tools


def compiled(rule: str = "-p tcp -j ACCEPT", port: str = "-j DROP", l2: str = "drop") -> Filters:
    tables: Tables = {
        "raw": {"kn-raw": ()},
        "filter": {
            "kn-to": (f"-g kn-i-{PORT}",), f"kn-i-{PORT}": (port, "-j DROP"), f"kn-i-{OTHER}": ("-j DROP",),
            f"kn-gi-{GROUP}": (rule, "-p udp -j ACCEPT"),
        },
    }  # fmt: skip
    return Filters({4: tables, 6: {}}, L2({f"tap{PORT}": (l2, "drop")}), ())


@pytest.mark.parametrize("evil", ["-s fe80::%lo\n-I INPUT 1 -j ACCEPT", "-j ACCEPT; x", "-j ACCEPT\r", "-s ١.1.1.1"])
async def test_what_is_no_line_is_never_written(tools: Tools, evil: str) -> None:
    tables = FilterTables("kn", 30)
    faults = {(fault.kind, fault.id): fault for fault in await tables.apply(compiled(evil, f"{evil} -j ACCEPT", evil))}
    assert set(faults) == {("security group", "22222222-2222-4222-8222"), ("port", PORT)}
    assert all(fault.lasting for fault in faults.values())
    text = "".join(tools.written)
    assert evil not in text
    assert "INPUT 1 -j ACCEPT" not in text
    assert f"-A kn-gi-{GROUP} -p udp -j ACCEPT\n" in text
    assert f"-A kn-i-{PORT} -j DROP\n" in text
    assert f"add rule bridge kn_l2 p-{PORT} drop\n" in text
    assert await tables.apply(compiled()) == []
    assert f"-A kn-gi-{GROUP} -p tcp -j ACCEPT\n" in tools.written[-1]


async def test_each_refused_rule_is_left_out(tools: Tools) -> None:
    tables = FilterTables("kn", 30)
    tools.refused = ("bad1", "bad2")
    faults = await tables.apply(compiled("-m bad1 -j ACCEPT", "-m bad2 -j ACCEPT"))
    assert sorted((fault.kind, fault.id) for fault in faults) == [
        ("port", PORT), ("security group", "22222222-2222-4222-8222")
    ]  # fmt: skip
    assert all("line" in fault.reason for fault in faults)
    assert "bad" not in "".join(tools.written)
    written = len(tools.written)
    assert await tables.apply(compiled("-m bad1 -j ACCEPT", "-m bad2 -j ACCEPT")) == faults
    assert len(tools.written) == written  # what is known as refused is not tried again


async def test_chains_that_others_changed_are_no_rules_fault(tools: Tools) -> None:
    tables = FilterTables("kn", 30)
    await tables.apply(compiled())
    tools.lost = True  # once: the text that leads from what was written
    assert await tables.apply(compiled("-p sctp -j ACCEPT")) == []
    assert "-p sctp -j ACCEPT" in tools.written[-1]
    tools.refused = ("-g kn-i-",)  # belongs to no single port or group
    with pytest.raises(DataPlaneError, match=r"line \d+: -A kn-to -g kn-i-"):
        await FilterTables("kn", 30).apply(compiled())
