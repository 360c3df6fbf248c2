"""What routers count for metering labels: nftables' named counters in a table of their own, which outlive their rules.

`state_dir/metering.json` keeps what was read of each counter, so that an agent that ends at any point neither loses a packet nor
counts it twice."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import msgspec
from msgspec.structs import replace

from kilonova.core.clock import Clock
from kilonova.network.agent.dataplane import DataPlaneError, Metered
from kilonova.network.agent.l3.namespace.plan import gateway_name
from kilonova.network.agent.model import MeterModel, MeterRuleModel, RouterModel, router_namespace
from kilonova.network.agent.options import DataPlaneOptions
from kilonova.network.agent.system import netns
from kilonova.network.agent.system.commands import run
from kilonova.network.agent.system.files import write
from kilonova.network.agent.system.names import clean_line, clean_network, is_uuid

TABLE = "inet kn_meter"
DEVICE = {"ingress": "iifname", "egress": "oifname"}
NOTHING: tuple[str, tuple[MeterModel, ...]] = ("", ())
Values = tuple[int, int]
"""Packets, bytes."""


class Read(msgspec.Struct):
    """How far a counter was read, and when (seconds since 1970)."""

    packets: int
    bytes: int
    at: int


class Kept(msgspec.Struct):
    """`read` by router and label. `growing` is what was read since the last report, by "router/label"; `told` is the report
    that may not be delivered yet."""

    read: dict[str, dict[str, Read]] = {}
    growing: dict[str, Metered] = {}
    told: list[Metered] = []


class Meters:
    def __init__(self, options: DataPlaneOptions, clock: Clock) -> None:
        self._clock = clock
        self._timeout = options.command_timeout
        self._path = Path(options.state_dir) / "metering.json"
        self._kept = Kept()
        self._made: dict[str, tuple[str, tuple[MeterModel, ...]]] = {}  # by router: device and meters
        self._lock = asyncio.Lock()

    def open(self) -> None:
        """Blocking."""
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            self._kept = msgspec.json.decode(self._path.read_bytes(), type=Kept)

    async def ensure(self, router: RouterModel) -> None:
        """Nothing when nothing changed. What counters counted that go now is read before."""
        device = gateway_name(router.gateway.port_id) if router.gateway is not None else ""
        wanted = (device, router.meters) if device and router.meters else NOTHING
        known = self._made.get(router.id)
        if known == wanted or (known is None and wanted == NOTHING and router.id not in self._kept.read):
            return
        async with self._lock:
            stale = (await self._collect(router.id)).keys() - {meter.id for meter in wanted[1]}
            await self._nft(router.id, "-f", "-", text=restore_text(*wanted, stale))
            self._made[router.id] = wanted
            if not wanted[1]:
                self._kept.read.pop(router.id, None)
            await self._write()

    async def counted(self, router_id: str) -> Collection[str]:
        """The labels that have a counter there. Raises DataPlaneError."""
        return counters(await self._nft(router_id, "-j", "list", "counters")).keys()

    def forget(self, router_id: str) -> None:
        """Its namespace may be a new one."""
        self._made.pop(router_id, None)

    async def remove(self, router_id: str) -> None:
        """Before its namespace goes."""
        if self._made.pop(router_id, None) is None and router_id not in self._kept.read:
            return
        async with self._lock:
            with contextlib.suppress(DataPlaneError):
                await self._collect(router_id)
            self._kept.read.pop(router_id, None)
            await self._write()

    async def metered(self, delivered: Collection[str]) -> list[Metered]:
        """As DataPlane.metered: a new report when nothing is left of the last one."""
        async with self._lock:
            for router_id in list(self._kept.read):
                with contextlib.suppress(DataPlaneError):
                    await self._collect(router_id)
            self._kept.told = [one for one in self._kept.told if one.id not in delivered]
            if not self._kept.told:
                self._kept.told, self._kept.growing = list(self._kept.growing.values()), {}
            if self._kept.told or self._kept.read or delivered:
                await self._write()
            return list(self._kept.told)

    async def _collect(self, router_id: str) -> dict[str, Values]:
        """Read the router's counters, by label; what they grew by waits for the next report. A counter that fell is a new one."""
        out = await self._nft(router_id, "-j", "list", "counters")
        found, now = counters(out), int(self._clock.now().timestamp())
        before = self._kept.read.get(router_id, {})
        for label_id, (packets, size) in found.items():
            last = before.get(label_id, Read(0, 0, now))
            base = last if packets >= last.packets and size >= last.bytes else Read(0, 0, last.at)
            grown = Metered(
                id=self._clock.uuid(), label_id=label_id, router_id=router_id, packets=packets - base.packets,
                bytes=size - base.bytes, since=base.at, until=now,
            )  # fmt: skip
            self._grow(f"{router_id}/{label_id}", grown)
        self._kept.read[router_id] = {label_id: Read(*values, now) for label_id, values in found.items()}
        return found

    async def _nft(self, router_id: str, *words: str, text: str = "") -> str:
        argv = (*netns.entering(router_namespace(router_id)), "nft", *words)
        return await run(*argv, text=text, timeout=self._timeout)

    def _grow(self, key: str, more: Metered) -> None:
        last = self._kept.growing.get(key)
        if last is not None:
            more = replace(more, packets=last.packets + more.packets, bytes=last.bytes + more.bytes, since=last.since)
        self._kept.growing[key] = more

    async def _write(self) -> None:
        await asyncio.to_thread(write, self._path, msgspec.json.encode(self._kept).decode())


def counters(listed: str) -> dict[str, Values]:
    """By label, of what `nft -j list counters` says."""
    found: dict[str, Values] = {}
    for item in msgspec.json.decode(listed)["nftables"]:
        one = item.get("counter", {})
        label_id = str(one.get("name", "")).removeprefix("m-")
        if f"{one.get('family')} {one.get('table')}" == TABLE and is_uuid(label_id):
            found[label_id] = one["packets"], one["bytes"]
    return found


def restore_text(device: str, meters: Collection[MeterModel], stale: Collection[str] = ()) -> str:
    """What `nft -f` reads: rules are written whole, counters stay. `stale` are labels whose counters go. A rule that cannot be
    read counts nothing."""
    lines = [
        f"add table {TABLE}",
        f"add chain {TABLE} forward {{ type filter hook forward priority 10; policy accept; }}",
        f"flush table {TABLE}",
        *(f"delete {kind} {TABLE} {letter}-{label_id}" for label_id in sorted(stale) for kind, letter in
          (("chain", "c"), ("counter", "m"))),
    ]  # fmt: skip
    for meter in meters:
        if is_uuid(meter.id):
            lines += _meter(device, meter)
    if not meters:
        lines.append(f"delete table {TABLE}")
    return "\n".join([*lines, ""])


def _meter(device: str, meter: MeterModel) -> Iterator[str]:
    chain, counter = f"c-{meter.id}", f"m-{meter.id}"
    yield f"add counter {TABLE} {counter}"
    yield f"add chain {TABLE} {chain}"
    yield f"add rule {TABLE} forward jump {chain}"
    for rule in sorted(meter.rules, key=lambda rule: not rule.excluded):
        with contextlib.suppress(KeyError, ValueError):
            does = "" if rule.excluded else f'counter name "{counter}" '
            yield clean_line(
                f'add rule {TABLE} {chain} {DEVICE[rule.direction]} "{device}" {_addresses(rule)}{does}return'
            )


def _addresses(rule: MeterRuleModel) -> str:
    ends: Mapping[str, str] = {"saddr": rule.source, "daddr": rule.destination}
    found = {end: str(clean_network(text)) for end, text in ends.items() if text}
    return "".join(f"ip{'6' if ':' in text else ''} {end} {text} " for end, text in found.items())
