"""The rules of `verify`: each names what exists without a reason, or lacks what it should have. Pure functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from kilonova.network.client import PortRecord
from kilonova.ops.facts import Facts
from kilonova.ops.volumes import differences

WITHOUT_GUEST = {"BUILD", "ERROR", "DELETED", "SHELVED_OFFLOADED", "SOFT_DELETED"}
WITHOUT_VOLUMES = {"BUILD", "ERROR", "DELETED"}
NETWORK_KINDS = {"bridge", "vxlan", "namespace", "dnsmasq"}
ROUTER_KINDS = {"router", "advertiser"}
ROUTER_PORT = "network:router_"  # what the owner of a router's port begins with


class Finding(msgspec.Struct):
    where: str
    what: str
    why: str


RUNS = {"ACTIVE": True, "RESCUE": True, "SHUTOFF": False, "SUSPENDED": False, "SHELVED": False, "SOFT_DELETED": False}
"""Status of a settled server → whether its guest runs, where that is certain."""


def servers(facts: Facts) -> Iterator[Finding]:
    """A server that is settled has a host, a claim there and a guest there, which runs or not as its status says; none is left
    busy."""
    guests = {host.name: host.guests for host in facts.hosts if not host.away}
    running = {host.name: host.running for host in facts.hosts if not host.away and host.running is not None}
    for server in facts.servers.values():
        label = f"server {server.id} ({server.name}, {server.status})"
        if server.status == "BUILD" or server.task_state is not None:
            yield Finding("database", label, f"is busy: task_state {server.task_state}")
        if server.host is None:
            continue
        if server.task_state is None and server.host in running and server.id in guests[server.host]:
            runs = server.id in running[server.host]
            if RUNS.get(server.status, runs) is not runs:
                yield Finding(server.host, label, f"its guest {'runs' if runs else 'does not run'}")
        if server.status in WITHOUT_GUEST:
            continue
        if facts.allocations.get(server.id) != server.host:
            held = facts.allocations.get(server.id, "nowhere")
            yield Finding("placement", label, f"is on host {server.host}, its claim is {held}")
        if server.host in guests and server.id not in guests[server.host]:
            yield Finding(server.host, label, "has no guest on its host")


def allocations(facts: Facts) -> Iterator[Finding]:
    for consumer, provider in facts.allocations.items():
        if consumer not in facts.servers:
            yield Finding("placement", f"allocation of {consumer} on {provider}", "no server has this id")
        elif facts.servers[consumer].host is None:
            yield Finding("placement", f"allocation of {consumer} on {provider}", "its server is on no host")


def ports(facts: Facts) -> Iterator[Finding]:
    for port in facts.ports.values():
        # a project may write any owner on a port of its own; only compute binds ports to hosts
        if port.host_id and port.device_owner.startswith("compute:") and port.device_id not in facts.servers:
            yield Finding("network", f"port {port.id}", f"its server {port.device_id} does not exist")


def attachments(facts: Facts) -> Iterator[Finding]:
    """A volume is attached to the server that has it, and to no other."""
    if facts.storage is None:
        if any(server.volumes for server in facts.servers.values()):
            yield Finding("volume", "the volume service", "does not answer")
        return
    held = {(one.server_id, one.volume_id) for one in facts.storage.attachments}
    for one in facts.storage.attachments:
        label = f"attachment {one.id} of volume {one.volume_id}"
        if one.server_id and one.server_id not in facts.servers:
            yield Finding("volume", label, f"its server {one.server_id} does not exist")
        elif one.server_id and one.volume_id not in facts.servers[one.server_id].volumes:
            yield Finding("volume", label, f"server {one.server_id} does not have the volume")
    for server in facts.servers.values():
        for volume in server.volumes if server.status not in WITHOUT_VOLUMES else ():
            if (server.id, volume) not in held:
                yield Finding("database", f"volume {volume} of server {server.id}", "is not attached to it")


def volumes(facts: Facts) -> Iterator[Finding]:
    """Volumes are at rest, where their rows say, and nowhere else."""
    for where, what, why in differences(facts.storage) if facts.storage is not None else ():
        yield Finding(where, what, why)


def guests(facts: Facts) -> Iterator[Finding]:
    """Guests, disks and open journal entries belong to servers of that host; disks also to those of hosts that share them, or
    may do so and do not answer."""
    for host in facts.hosts:
        sharing = {
            other.name for other in facts.hosts if host.storage and (other.away or other.storage == host.storage)
        }
        if host.away:
            yield Finding(host.name, "compute host", f"does not answer: {host.away}")
        for kind, ids in (("guest", host.guests), ("disk", host.disks), ("journal", host.journal)):
            for uuid in sorted(ids):
                server = facts.servers.get(uuid)
                if server is None:
                    yield Finding(host.name, f"{kind} of {uuid}", "no server has this id")
                elif server.host != host.name and not (kind == "disk" and server.host in sharing):
                    yield Finding(host.name, f"{kind} of {uuid}", f"its server is on host {server.host}")


def wiring(facts: Facts) -> Iterator[Finding]:
    """Bridges, tunnels, namespaces, taps and chains belong to networks, routers, ports, security groups and address groups; what
    belongs to a network or router or is a tap, to a port that is on this host. What is inside of them is as it should be."""
    known = facts.networks | facts.ports.keys() | facts.security_groups | facts.address_groups
    routers = _routers(facts.ports.values())
    owners = dict.fromkeys(NETWORK_KINDS, facts.networks) | dict.fromkeys(ROUTER_KINDS, routers)
    for host in facts.hosts:
        here = [port for port in facts.ports.values() if port.host_id == host.name]
        networks, routed = {port.network_id for port in here}, _routers(here)
        shown: dict[str, Iterable[str]] = {
            "tap": [port.id for port in here],
            **dict.fromkeys(NETWORK_KINDS, networks),
            **dict.fromkeys(ROUTER_KINDS, routed),
        }
        for item in host.leftovers:
            label = f"{item.kind} {item.name}"
            if item.stale:
                yield Finding(host.name, label, f"not what {item.owner} has now")
            elif item.owner and not _begins(item.owner, owners.get(item.kind, known)):
                yield Finding(host.name, label, f"no network, router, port or group {item.owner}")
            elif item.kind in shown and not _begins(item.owner, shown[item.kind]):
                yield Finding(host.name, label, f"no port of {item.owner} is on this host")


def faults(facts: Facts) -> Iterator[Finding]:
    """Every host shows all that it should."""
    for host in facts.hosts:
        for fault in host.faults:
            yield Finding(host.name, f"{fault.kind} {fault.id}", f"not applied: {fault.reason}")


def _routers(ports: Iterable[PortRecord]) -> set[str]:
    """A router is where its ports are; one without ports is nowhere."""
    return {port.device_id for port in ports if port.device_owner.startswith(ROUTER_PORT)}


def _begins(owner: str, ids: Iterable[str]) -> bool:
    return any(one.startswith(owner) for one in ids)


def messages(facts: Facts) -> Iterator[Finding]:
    """Messages that should have been delivered."""
    for item in facts.undelivered:
        place = item.topic if item.host is None else f"{item.topic}.{item.host}"
        yield Finding(
            "outbox", f"{item.count} × {item.method} to {place}", f"{item.service} keeps them: not delivered yet"
        )
    for queue, count in facts.queued.items():
        yield Finding("broker", f"{count} messages for {queue}", "no receiver has taken them")
    if facts.put_aside:
        yield Finding(
            "broker", f"{facts.put_aside} dead letters", "they could not be decoded, or their receivers crashed on them"
        )


CHECKS: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    servers,
    allocations,
    ports,
    attachments,
    volumes,
    guests,
    wiring,
    faults,
    messages,
)


def counted(facts: Facts) -> dict[str, int]:
    return {
        "servers": len(facts.servers),
        "allocations": len(facts.allocations),
        "ports": len(facts.ports),
        "hosts": len(facts.hosts),
        "guests": sum(len(host.guests) for host in facts.hosts),
        "disks": sum(len(host.disks) for host in facts.hosts),
        "volumes": len(facts.storage.volumes) if facts.storage is not None else 0,
        "devices and chains": sum(len(host.leftovers) for host in facts.hosts),
    }
