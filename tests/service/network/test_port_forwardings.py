"""Port forwardings of floating IPs over HTTP, and what a host is told of them."""

from __future__ import annotations

from typing import Any

from tests.eventually import until
from tests.service.network.conftest import Cloud
from tests.service.network.test_floating_ips import change, scene
from tests.service.network.test_routers import NOWHERE, join, leave, model, refused


class Forwardings:
    """Of one floating IP that leads to no port."""

    def __init__(self, cloud: Cloud, public: Any, router: Any, port: Any, floating: Any) -> None:
        self.cloud, self.public, self.router, self.port, self.floating = cloud, public, router, port, floating
        self.path = f"/floatingips/{floating['id']}/port_forwardings"
        self.address = port["fixed_ips"][0]["ip_address"]

    async def ask(self, method: str, one: str = "", token: str = "member", **values: Any) -> Any:
        body = {"port_forwarding": values} if method in ("POST", "PUT") else None
        return await self.cloud(method, self.path + (f"/{one}" if one else ""), token=token, json=body)

    async def post(self, token: str = "member", **values: Any) -> Any:
        target = {"internal_port_id": self.port["id"], "internal_ip_address": self.address, "protocol": "tcp"}
        return await self.ask("POST", token=token, **(target | values))

    async def make(self, **values: Any) -> Any:
        answer = await self.post(**values)
        assert answer.status == 201, answer.content
        return answer.json["port_forwarding"]

    async def floating_now(self) -> Any:
        return (await self.cloud("GET", f"/floatingips/{self.floating['id']}")).json["floatingip"]


async def forwardings(cloud: Cloud) -> Forwardings:
    public, router, port = await scene(cloud)
    floating = await cloud.make("floatingip", floating_network_id=public["id"])
    assert floating["port_forwardings"] == []
    return Forwardings(cloud, public, router, port, floating)


async def told(cloud: Cloud) -> Any:
    """The port forwardings of the host's floating IPs."""
    ((router,),) = (await model(cloud),)
    return [(ip.floating_ip_address, ip.fixed_ip_address, ip.port_forwardings) for ip in router.floating_ips]


async def test_its_whole_life(cloud: Cloud) -> None:
    on = await forwardings(cloud)
    one = await on.make(external_port=2222, internal_port=22, description="ssh")
    assert {name: one[name] for name in one if name not in ("id", "internal_port_id")} == {
        "protocol": "tcp", "external_port": 2222, "external_port_range": "2222:2222", "internal_ip_address": on.address,
        "internal_port": 22, "internal_port_range": "22:22", "description": "ssh",
    }  # fmt: skip
    floating = await on.floating_now()
    assert (floating["status"], floating["router_id"], floating["port_id"]) == ("ACTIVE", on.router["id"], None)
    assert floating["revision_number"] > on.floating["revision_number"]
    assert floating["port_forwardings"] == [
        {
            "id": one["id"], "protocol": "tcp", "external_port": 2222, "internal_port": 22, "internal_ip_address": on.address,
            "internal_port_id": one["internal_port_id"],
        }
    ]  # fmt: skip
    ((address, fixed, (shown,)),) = await told(cloud)
    assert (address, fixed) == (on.floating["floating_ip_address"], "")
    assert (shown.id, shown.protocol, shown.internal_ip_address) == (one["id"], "tcp", on.address)
    assert (shown.external_ports, shown.internal_ports) == ((2222, 2222), (22, 22))

    changed = (await on.ask("PUT", one["id"], external_port_range="80:90", protocol="udp")).json["port_forwarding"]
    assert (changed["external_port"], changed["external_port_range"]) == (None, "80:90")
    assert (changed["internal_port"], changed["protocol"], changed["description"]) == (22, "udp", "ssh")
    ((_, _, (shown,)),) = await told(cloud)
    assert (shown.external_ports, shown.protocol) == ((80, 90), "udp")
    assert (await on.ask("GET", one["id"])).json["port_forwarding"] == changed

    assert (await on.ask("DELETE", one["id"])).status == 204
    refused(await on.ask("GET", one["id"]), 404, "PortForwardingNotFound", one["id"])
    floating = await on.floating_now()
    assert (floating["status"], floating["router_id"], floating["port_forwardings"]) == ("DOWN", None, [])
    assert await told(cloud) == []


async def test_hosts_are_told(cloud: Cloud) -> None:
    _, plane = await cloud.agent()
    on = await forwardings(cloud)

    def shown() -> list[tuple[int, int]]:
        floating = [ip for router in plane.state.routers or () for ip in router.floating_ips]
        return [one.external_ports for ip in floating for one in ip.port_forwardings]

    one = await on.make(external_port=80, internal_port=80)
    await until(lambda: shown() == [(80, 80)])
    assert (await on.ask("PUT", one["id"], external_port=81)).status == 200
    await until(lambda: shown() == [(81, 81)])
    assert (await on.ask("DELETE", one["id"])).status == 204
    await until(lambda: shown() == [])


async def test_lists(cloud: Cloud) -> None:
    on = await forwardings(cloud)
    other = await cloud.make("floatingip", floating_network_id=on.public["id"])
    body = {"port_forwardings": [
        {"internal_port_id": on.port["id"], "internal_ip_address": on.address, "protocol": protocol} | ports
        for protocol, ports in (
            ("tcp", {"external_port": 80, "internal_port": 8080}),
            ("udp", {"external_port": 80, "internal_port": 8080}),
            ("tcp", {"external_port_range": "100:109", "internal_port_range": "200:209"}),
        )
    ]}  # fmt: skip
    made = await cloud("POST", on.path, json=body)
    assert made.status == 201, made.content
    assert len(made.json["port_forwardings"]) == 3

    async def found(query: str, path: str = on.path) -> list[str]:
        rows = (await cloud("GET", f"{path}?{query}")).json["port_forwardings"]
        return [f"{row['protocol']} {row['external_port_range']}" for row in rows]

    assert sorted(await found("")) == ["tcp 100:109", "tcp 80:80", "udp 80:80"]
    assert await found("protocol=udp") == ["udp 80:80"]
    assert sorted(await found("external_port=80")) == ["tcp 80:80", "udp 80:80"]
    assert await found("sort_key=protocol&sort_dir=desc&limit=1") == ["udp 80:80"]
    assert await found("", f"/floatingips/{other['id']}/port_forwardings") == []
    page = (await cloud("GET", f"{on.path}?limit=1&fields=id")).json
    assert set(page["port_forwardings"][0]) == {"id"}
    assert f"/v2.0{on.path}?" in page["port_forwardings_links"][0]["href"]
    refused(await cloud("GET", f"{on.path}?internal_port=8080"), 400, "HTTPBadRequest", "internal_port")
    refused(await cloud("GET", f"/floatingips/{NOWHERE}/port_forwardings"), 404, "FloatingIPNotFound")
    one = made.json["port_forwardings"][0]["id"]
    for method in ("GET", "DELETE"):
        answer = await cloud(method, f"/floatingips/{other['id']}/port_forwardings/{one}")
        refused(answer, 404, "PortForwardingNotFound")


async def test_ports_that_are_refused(cloud: Cloud) -> None:
    on = await forwardings(cloud)
    await on.make(external_port_range="80:89", internal_port_range="8080:8089")

    async def bad(text: str, kind: str = "BadRequest", **values: Any) -> None:
        refused(await on.post(**values), 400, kind, text)

    await bad("external_port or external_port_range", internal_port=1)
    await bad("internal_port or internal_port_range", external_port=1)
    await bad("do not match", external_port=1, external_port_range="1:2", internal_port=1)
    await bad("lower than the second", external_port_range="9:5", internal_port=1)
    await bad("must be in the range", external_port_range="0:5", internal_port=1)
    await bad("must be in the range", external_port_range="70000", internal_port=1)
    await bad("N-N or 1-N", external_port_range="1:5", internal_port_range="1:4")
    await bad("external_port", "HTTPBadRequest", external_port=0, internal_port=1)
    await bad("external_port_range", "HTTPBadRequest", external_port_range="1:2:3", internal_port=1)
    await bad("external_port_range", "HTTPBadRequest", external_port_range="1\n:2", internal_port=1)
    await bad("protocol", "HTTPBadRequest", protocol="icmp", external_port=1, internal_port=1)
    await bad("collision with the external_port_range", external_port=85, internal_port=1)
    await bad("collision with the internal_port_range", external_port=1, internal_port_range="8089")
    assert (await on.post(protocol="udp", external_port=85, internal_port=8085)).status == 201
    one = await on.make(external_port=1, internal_port=1)
    refused(await on.ask("PUT", one["id"], external_port=80), 400, "BadRequest", "collision")
    assert (await on.ask("PUT", one["id"], external_port=1, internal_port=2)).status == 200
    assert len((await on.ask("GET")).json["port_forwardings"]) == 3

    body = {"port_forwardings": [
        {"internal_port_id": on.port["id"], "internal_ip_address": on.address, "protocol": "tcp",
         "external_port": 5, "internal_port": internal}
        for internal in (5, 6)
    ]}  # fmt: skip
    refused(await cloud("POST", on.path, json=body), 400, "BadRequest", "collision")
    assert len((await on.ask("GET")).json["port_forwardings"]) == 3


async def test_targets_that_are_refused(cloud: Cloud) -> None:
    on = await forwardings(cloud)
    ports = {"external_port": 80, "internal_port": 80}
    private, _ = await cloud.network("10.5.0.0/24")
    lonely = await cloud.make("port", network_id=private["id"])
    foreign_network, _ = await cloud.network("10.4.0.0/24", "foreign")
    foreign = await cloud.make("port", "foreign", network_id=foreign_network["id"])
    refused(await on.post(internal_port_id=NOWHERE, **ports), 404, "PortNotFound")
    refused(await on.post(internal_port_id=foreign["id"], **ports), 404, "PortNotFound")
    refused(await on.post(internal_ip_address="10.0.0.77", **ports), 400, "BadRequest", "is not suitable")
    refused(await on.post(internal_ip_address="10.0.0.5\n", **ports), 400, "HTTPBadRequest", "internal_ip_address")
    target = {"internal_port_id": lonely["id"], "internal_ip_address": lonely["fixed_ips"][0]["ip_address"]}
    refused(await on.post(**target, **ports), 400, "BadRequest", "is not reachable from subnet")

    second, subnet = await cloud.network("10.6.0.0/24")
    router = await cloud.make("router", external_gateway_info={"network_id": on.public["id"]})
    assert (await join(cloud, router, subnet_id=subnet["id"])).status == 200
    beside = await cloud.make("port", network_id=second["id"])
    await on.make(**ports)
    target = {"internal_port_id": beside["id"], "internal_ip_address": beside["fixed_ips"][0]["ip_address"]}
    refused(await on.post(**target, external_port=81, internal_port=80), 400, "BadRequest", "had been set on router")

    whole = await cloud.make("floatingip", floating_network_id=on.public["id"], port_id=beside["id"])
    refused(await on.post(**target, external_port=81, internal_port=81), 409, "PortHasBindingFloatingIP")
    path = f"/floatingips/{whole['id']}/port_forwardings"
    body = {
        "port_forwarding": {"internal_port_id": on.port["id"], "internal_ip_address": on.address, "protocol": "tcp"}
        | ports
    }
    refused(await cloud("POST", path, json=body), 409, "FloatingIPPortAlreadyAssociated")


async def test_what_they_keep(cloud: Cloud) -> None:
    on = await forwardings(cloud)
    await on.make(external_port=80, internal_port=80)
    refused(await change(cloud, on.floating, port_id=on.port["id"]), 409, "FipInUseByPortForwarding")
    assert (await change(cloud, on.floating, port_id=None)).json["floatingip"]["router_id"] == on.router["id"]
    refused(await cloud("DELETE", f"/floatingips/{on.floating['id']}"), 409, "FipInUseByPortForwarding")
    (subnet,) = {ip["subnet_id"] for ip in on.port["fixed_ips"]}
    refused(await leave(cloud, on.router, subnet_id=subnet), 409, "RouterInterfaceInUseByFloatingIP")
    body = {"router": {"external_gateway_info": None}}
    answer = await cloud("PUT", f"/routers/{on.router['id']}", json=body)
    refused(answer, 409, "RouterExternalGatewayInUseByFloatingIp")


async def test_they_go_with_the_port_and_its_addresses(cloud: Cloud) -> None:
    on = await forwardings(cloud)
    await on.make(external_port=80, internal_port=80)
    beside = await cloud.make("port", network_id=on.port["network_id"])
    target = {"internal_port_id": beside["id"], "internal_ip_address": beside["fixed_ips"][0]["ip_address"]}
    kept = await on.make(**target, external_port=81, internal_port=80)
    body = {"port": {"fixed_ips": [{"ip_address": "10.0.0.99"}]}}
    assert (await cloud("PUT", f"/ports/{on.port['id']}", json=body)).status == 200
    floating = await on.floating_now()
    assert [one["id"] for one in floating["port_forwardings"]] == [kept["id"]]
    ((_, _, (shown,)),) = await told(cloud)
    assert shown.id == kept["id"]
    assert (await cloud("DELETE", f"/ports/{beside['id']}")).status == 204
    floating = await on.floating_now()
    assert (floating["status"], floating["router_id"], floating["port_forwardings"]) == ("DOWN", None, [])
    assert await told(cloud) == []
    assert (await cloud("DELETE", f"/floatingips/{on.floating['id']}")).status == 204


async def test_rights(cloud: Cloud) -> None:
    on = await forwardings(cloud)
    one = await on.make(external_port=80, internal_port=80)
    ports = {"external_port": 81, "internal_port": 81}
    refused(await on.post("foreign", **ports), 404, "FloatingIPNotFound")
    for method, path in (("GET", ""), ("GET", one["id"]), ("DELETE", one["id"]), ("PUT", one["id"])):
        refused(await on.ask(method, path, "foreign"), 404, "FloatingIPNotFound")
    assert (await on.ask("GET", one["id"], "reader")).status == 200
    assert (await on.post("reader", **ports)).status == 403
    assert (await on.ask("DELETE", one["id"], "reader")).status == 403
    assert (await on.ask("DELETE", one["id"], "admin")).status == 204


async def test_extensions_say_so(cloud: Cloud) -> None:
    known = {one["alias"] for one in (await cloud("GET", "/extensions")).json["extensions"]}
    assert {"floating-ip-port-forwarding", "expose-port-forwarding-in-fip"} <= known
