"""A host dies; its servers go on elsewhere; it returns. The same on one process and on many."""

from __future__ import annotations

from typing import Any

from tests.eventually import eventually
from tests.process.cloud.harness import Api
from tests.process.scenarios.hosts import Hosts, force_down, force_up, unexplained


class Place:
    """An administrator with an image and a network, and servers on a host."""

    def __init__(self, hosts: Hosts, cidr: str = "10.77.0.0/24") -> None:
        self.hosts = hosts
        self.admin = hosts.api(version="2.90")
        self.newest = hosts.api(version="2.96")
        self.image, self.network = self.admin.image("evacuee"), self.admin.network("evacuees", cidr)

    def launch(self, host: str, **fields: Any) -> str:
        server = self.admin.launch(
            self.image, [{"uuid": self.network}], availability_zone=f"nova:{host}", config_drive=True, **fields
        )
        self.admin.wait(server, "ACTIVE")
        return server

    def launch_many(self, host: str, count: int) -> list[str]:
        self.admin.ok(
            "PUT", "compute", f"/os-quota-sets/{self.admin.project_id}", {"quota_set": {"instances": -1, "cores": -1}}
        )
        first = self.launch(host, min_count=count)
        same = self.admin.server(first)["OS-EXT-SRV-ATTR:reservation_id"]
        found = self.admin.ok("GET", "compute", f"/servers?reservation_id={same}")["servers"]
        return [self.admin.wait(server["id"], "ACTIVE")["id"] for server in found]

    def die(self, host: str) -> None:
        self.hosts.kill_host(host)
        force_down(self.admin, host)

    def return_(self, host: str) -> None:
        self.hosts.start_host(host)
        force_up(self.admin, host)

    def evacuate(self, server: str, api: Api | None = None, **asked: Any) -> Any:
        return (api or self.admin)("POST", "compute", f"/servers/{server}/action", {"evacuate": asked})

    def host(self, server: str) -> str:
        return str(self.admin.server(server)["OS-EXT-SRV-ATTR:host"])

    def ports(self, server: str) -> list[dict[str, Any]]:
        return list(self.admin.ok("GET", "network", f"/ports?device_id={server}")["ports"])

    def claims(self, server: str) -> list[str]:
        """Hosts where placement holds something for the server."""
        held = self.admin.ok("GET", "placement", f"/allocations/{server}")["allocations"]
        providers = self.admin.ok("GET", "placement", "/resource_providers")["resource_providers"]
        return sorted(provider["name"] for provider in providers if provider["uuid"] in held)

    def migration(self, server: str) -> dict[str, Any]:
        """The newest."""
        return dict(self.admin.ok("GET", "compute", f"/os-migrations?instance_uuid={server}")["migrations"][0])

    def lives_on(self, server: str, host: str) -> None:
        """Row, ports, claim and guest agree."""
        assert self.host(server) == host
        assert {port["binding:host_id"] for port in self.ports(server)} == {host}
        eventually(lambda: self.claims(server) == [host], f"claims are on {self.claims(server)}, not on {host}")

    def remove(self, *servers: str) -> None:
        for server in servers:
            self.admin.ok("DELETE", "compute", f"/servers/{server}")
            self.admin.wait_gone(server)


def evacuate_and_return(hosts: Hosts) -> None:
    """Running and stopped servers of a dead host come up on others with their addresses, ids and data's owner; the host
    forgets them when it returns."""
    place = Place(hosts)
    admin, (dead, *others) = place.admin, hosts.names
    running, stopped, newer = place.launch(dead), place.launch(dead), place.launch(dead)
    admin.ok("POST", "compute", f"/servers/{stopped}/action", {"os-stop": None})
    admin.wait(stopped, "SHUTOFF")
    before = {port["id"]: (port["mac_address"], port["fixed_ips"]) for port in place.ports(running)}
    refused = place.evacuate(running)
    assert refused.status_code == 400
    assert f"Compute service of {dead} is still in use." in refused.text
    place.die(dead)
    # any host, one that is named, and by the newest rules: it stays off
    assert place.evacuate(running).status_code == 200
    assert place.evacuate(stopped, host=others[0]).status_code == 200
    assert place.evacuate(newer, place.newest).status_code == 200
    admin.wait(running, "ACTIVE")
    assert place.host(running) in others
    place.lives_on(running, place.host(running))
    assert {port["id"]: (port["mac_address"], port["fixed_ips"]) for port in place.ports(running)} == before
    assert {port["status"] for port in place.ports(running)} == {"ACTIVE"}
    admin.wait(stopped, "SHUTOFF")
    place.lives_on(stopped, others[0])
    admin.wait(newer, "SHUTOFF")
    place.lives_on(newer, place.host(newer))
    assert {place.migration(server)["status"] for server in (running, stopped, newer)} == {"done"}
    assert unexplained(admin, dead=dead) == []
    for server in (stopped, newer):
        admin.ok("POST", "compute", f"/servers/{server}/action", {"os-start": None})
        admin.wait(server, "ACTIVE")
    # one is deleted before its old host returns
    place.remove(newer)
    place.return_(dead)
    assert unexplained(admin) == []
    for server in (running, stopped):
        eventually(lambda s=server: place.migration(s)["status"] == "completed", "the host is not rid of it")
        assert admin.server(server)["status"] == "ACTIVE"
        place.lives_on(server, place.host(server))
    # back to where it came from, whose disks of it are long gone
    host = place.host(running)
    place.die(host)
    assert place.evacuate(running, host=dead).status_code == 200
    eventually(lambda: place.host(running) == dead, "it does not come back")
    admin.wait(running, "ACTIVE")
    place.lives_on(running, dead)
    place.return_(host)
    assert unexplained(admin) == []
    place.remove(running, stopped)
    assert unexplained(admin) == []


def delete_from_a_dead_host(hosts: Hosts) -> None:
    """A server whose host is dead can be deleted at once; the host removes what is left when it returns."""
    place = Place(hosts, "10.78.0.0/24")
    admin, dead = place.admin, hosts.names[0]
    server = place.launch(dead)
    place.die(dead)
    place.remove(server)
    assert place.ports(server) == []
    assert place.claims(server) == []
    assert unexplained(admin, dead=dead) == []
    place.return_(dead)
    assert unexplained(admin) == []


def remove_a_host_for_good(hosts: Hosts) -> None:
    """A dead host's service can be deleted once its servers are elsewhere or gone; nothing waits for it any more."""
    place = Place(hosts, "10.82.0.0/24")
    admin, dead = place.admin, hosts.names[0]
    moved, deleted = place.launch(dead), place.launch(dead)
    hosts.kill_host(dead)
    # counted as up, it gets work that no process will ever do
    for server in (moved, deleted):
        admin.ok("POST", "compute", f"/servers/{server}/action", {"os-stop": None})
    force_down(admin, dead)
    (service,) = admin.ok("GET", "compute", f"/os-services?host={dead}")["services"]
    refused = admin("DELETE", "compute", f"/os-services/{service['id']}")
    assert refused.status_code == 409
    assert "hosting instances" in refused.text
    place.remove(deleted)
    assert place.evacuate(moved).status_code == 200
    eventually(lambda: place.host(moved) != dead, "it stays on the dead host")
    admin.wait(moved, "ACTIVE")
    admin.ok("DELETE", "compute", f"/os-services/{service['id']}")
    named = "/resource_providers"

    def known() -> list[str]:
        return [provider["name"] for provider in admin.ok("GET", "placement", named)["resource_providers"]]

    eventually(lambda: dead not in known(), "its provider stays")
    left = unexplained(admin)
    assert left == [], left
    # it returns after all: known anew, rid of what went elsewhere
    hosts.start_host(dead)
    eventually(lambda: dead in known(), "it is not known again")
    assert unexplained(admin) == []
    place.lives_on(moved, place.host(moved))
    place.remove(moved)
