"""Parts that only note what is asked of them: their order, whose fault is whose, and which are chosen."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import pytest

from kilonova.core.config import ConfigError
from kilonova.hosts import data_plane_of
from kilonova.network.agent.composed import ComposedDataPlane
from kilonova.network.agent.dataplane import DataPlaneError, Fault, FindCaller, Leftover
from kilonova.network.agent.model import HostModel, NetworkModel, RouterModel
from kilonova.network.agent.parts import L2, L3, Dhcp, Firewall, Metadata, Overlay, Part, Parts
from kilonova.settings import load
from tests.host.dataplane.lab import network


class Noting(Part):
    """`failing` are the calls that raise, as they are noted: "dhcp.ensure"."""

    def __init__(self, kind: str, notes: list[str], failing: set[str]) -> None:
        self.kind, self.notes, self.failing = kind, notes, failing
        self.serving = True

    def note(self, what: str) -> None:
        self.notes.append(f"{self.kind}.{what}")
        if f"{self.kind}.{what}" in self.failing:
            raise DataPlaneError(f"{self.kind} failed")

    async def open(self) -> set[str]:
        self.note("open")
        return set()

    async def leftovers(self, networks: Collection[str]) -> list[Leftover]:
        return [Leftover(kind=self.kind, name=n, owner=n) for n in networks]

    async def close(self, *, remove: bool = False) -> None:
        self.note("remove everything" if remove else "close")

    def serves(self, network: NetworkModel) -> bool:
        return self.serving

    async def ensure(self, network: NetworkModel) -> None:
        self.note("ensure")

    async def remove(self, network_id: str) -> None:
        self.note("remove")

    async def apply(self, state: HostModel) -> list[Fault]:
        self.note("apply")
        return []

    def know(self, state: HostModel) -> None:
        self.note("know")

    async def ensure_router(self, router: RouterModel) -> None: ...

    async def remove_router(self, router_id: str) -> None: ...

    async def join(self, network: NetworkModel, device: str) -> None: ...

    async def unplug(self, port_id: str) -> None:
        self.note("unplug")

    def subscribe(self, on_tap: Callable[[str, bool], None]) -> None: ...


class NotingL2(Noting, L2): ...


class NotingFirewall(Noting, Firewall): ...


class NotingOverlay(Noting, Overlay): ...


class NotingDhcp(Noting, Dhcp): ...


class NotingMetadata(Noting, Metadata):
    def find_callers(self, find: FindCaller) -> None: ...


class NotingL3(Noting, L3): ...


class Bench:
    def __init__(self, **kinds: type[Any]) -> None:
        self.notes: list[str] = []
        self.failing: set[str] = set()
        all_kinds: dict[str, Any] = {
            "l2": NotingL2, "firewall": NotingFirewall, "overlay": NotingOverlay, "dhcp": NotingDhcp,
            "metadata": NotingMetadata, **kinds,
        }  # fmt: skip
        self.parts = Parts(**{name: kind(name, self.notes, self.failing) for name, kind in all_kinds.items()})
        self.plane = ComposedDataPlane("bridge", self.parts)

    async def apply(
        self, *networks: NetworkModel, routers: tuple[RouterModel, ...] | None = None
    ) -> tuple[list[str], list[str]]:
        """What was done, and the faults' reasons."""
        self.notes.clear()
        faults = await self.plane.apply(HostModel(networks=networks, routers=routers))
        return list(self.notes), [fault.reason for fault in faults]


async def test_filters_stand_before_a_network_is_joined_and_go_after_it() -> None:
    bench, net = Bench(), network()
    assert await bench.apply(net) == (
        ["firewall.apply", "metadata.know", "l2.ensure", "overlay.ensure", "dhcp.ensure", "metadata.ensure"],
        [],
    )
    gone = ["metadata.remove", "dhcp.remove", "overlay.remove", "l2.remove", "firewall.apply", "metadata.know"]
    assert await bench.apply() == (gone, [])
    assert await bench.apply() == (["firewall.apply", "metadata.know"], [])


async def test_nothing_is_joined_where_filters_cannot_be_written() -> None:
    bench = Bench()
    bench.failing.add("firewall.apply")
    with pytest.raises(DataPlaneError, match="firewall failed"):
        await bench.apply(network())
    assert bench.notes == ["firewall.apply"]


async def test_a_service_that_fails_keeps_no_other_from_being_made() -> None:
    bench, net = Bench(), network()
    bench.failing.update(("overlay.ensure", "dhcp.ensure"))
    done, faults = await bench.apply(net)
    assert done[2:] == ["l2.ensure", "overlay.ensure", "dhcp.ensure", "metadata.ensure"]
    assert faults == ["overlay failed", "dhcp failed"]
    bench.failing.add("l2.ensure")
    done, faults = await bench.apply(net)
    assert (done[2:], faults) == (["l2.ensure"], ["l2 failed"])


async def test_a_segment_stays_while_something_stands_on_it() -> None:
    bench, net = Bench(), network()
    await bench.apply(net)
    bench.failing.add("dhcp.remove")
    done, faults = await bench.apply()
    assert (done[:3], faults) == (["metadata.remove", "dhcp.remove", "overlay.remove"], ["dhcp failed"])
    assert "l2.remove" not in done
    assert {leftover.owner for leftover in await bench.plane.leftovers()} == {net.id}
    with pytest.raises(DataPlaneError, match="dhcp failed"):
        await bench.plane.close(remove=True)
    assert "l2.remove everything" not in bench.notes
    bench.failing.clear()
    await bench.plane.close(remove=True)
    assert bench.notes[-1] == "firewall.remove everything"


async def test_what_no_longer_serves_a_network_goes_before_its_segment_changes() -> None:
    bench, net = Bench(), network()
    bench.parts.metadata.serving = False  # type: ignore[union-attr]
    done, faults = await bench.apply(net)
    assert done[2:] == ["metadata.remove", "l2.ensure", "overlay.ensure", "dhcp.ensure"]
    assert faults == []


async def test_parts_are_closed_where_one_cannot_be_opened() -> None:
    bench = Bench()
    bench.failing.add("dhcp.open")
    with pytest.raises(DataPlaneError, match="dhcp failed"):
        await bench.plane.open()
    assert bench.notes[:3] == ["firewall.open", "overlay.open", "dhcp.open"]
    assert {"l2.close", "firewall.close"} <= set(bench.notes)


async def test_routers_get_the_networks_that_have_a_segment() -> None:
    class Routers(NotingL3):
        async def apply(self, state: HostModel) -> list[Fault]:
            seen.append([one.id for one in state.networks])
            return []

    seen: list[list[str]] = []
    bench, net, other = Bench(l3=Routers), network(), network()
    await bench.apply(net, other, routers=())
    bench.failing.add("dhcp.ensure")
    await bench.apply(net, routers=())
    bench.failing.add("l2.ensure")
    await bench.apply(net, routers=())
    assert seen == [[net.id, other.id], [net.id], []]


async def test_a_section_that_was_not_sent_is_not_taken_for_empty() -> None:
    bench, net = Bench(l3=NotingL3), network()
    assert bench.plane.sections == ("networks", "security_groups", "qos_policies", "routers")
    done, faults = await bench.apply(net)
    assert "l3.apply" not in done
    assert faults == ["the network service is older than this agent and does not send routers"]
    assert (await bench.apply(net, routers=()))[0][-1] == "l3.apply"
    bench.failing.add("l3.apply")
    assert (await bench.apply(net, routers=()))[1] == ["l3 failed"]


@pytest.mark.parametrize(
    ("key", "known"),
    [("l2", "bridge"), ("firewall", "iptables"), ("overlay", "vxlan"), ("dhcp", "dnsmasq"), ("l3", "namespace")],
)
@pytest.mark.parametrize("driver", ["bridge", "noop"])
def test_an_unknown_part_is_refused_with_the_known_ones(key: str, known: str, driver: str) -> None:
    env = {f"KILONOVA_DATAPLANE_{key.upper()}": "magic", "KILONOVA_DATAPLANE_DRIVER": driver}
    with pytest.raises(ConfigError, match=rf"\[dataplane\] {key}: there is no {key} part 'magic'; there are: {known}"):
        data_plane_of(load(env=env), "http://127.0.0.1:1", "secret")
