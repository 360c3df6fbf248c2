"""Names of ports and domains of networks, in the API and in what hosts are told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kilonova.network.options import NetworkOptions
from tests.eventually import until
from tests.service.network.conftest import Cloud, running

LABEL = "a" * 63


@pytest.fixture
async def named(tmp_path: Path) -> AsyncIterator[Cloud]:
    """A cloud with a domain."""
    async with running(tmp_path, NetworkOptions(dns_domain="cloud.example.org", dns_servers=("9.9.9.9",))) as made:
        yield made


async def _changed(cloud: Cloud, port: Any, token: str = "member", **values: Any) -> Any:
    answer = await cloud("PUT", f"/ports/{port['id']}", token=token, json={"port": values})
    assert answer.status == 200, answer.content
    shown = answer.json["port"]
    assert (await cloud("GET", f"/ports/{port['id']}", token=token)).json["port"] == shown
    return shown


async def test_names_of_a_port(named: Cloud) -> None:
    network, _ = await named.network()
    port = await named.make("port", network_id=network["id"], dns_name="Web")
    (address,) = [fixed["ip_address"] for fixed in port["fixed_ips"]]
    host = f"host-{address.replace('.', '-')}"
    assert port["dns_name"] == "web"
    assert port["dns_assignment"] == [{"ip_address": address, "hostname": "web", "fqdn": "web.cloud.example.org."}]
    assert (await named("GET", "/ports?dns_name=web")).json["ports"] == [port]
    for name in (None, ""):
        shown = await _changed(named, port, dns_name=name)
        assert (shown["dns_name"], shown["dns_assignment"][0]["hostname"]) == ("", host)
        assert shown["dns_assignment"][0]["fqdn"] == f"{host}.cloud.example.org."
    whole = await _changed(named, port, dns_name="db.cloud.example.org.")
    assert whole["dns_assignment"][0]["fqdn"] == "db.cloud.example.org."
    assert (await _changed(named, port, dns_name="db"))["revision_number"] > whole["revision_number"]
    own = await _changed(named, port, dns_domain="Own.example.org.")
    assert (own["dns_domain"], own["dns_assignment"][0]["fqdn"]) == ("own.example.org.", "db.own.example.org.")


async def test_a_networks_domain_goes_before_the_clouds(named: Cloud) -> None:
    network = await named.make("network", dns_domain="Net.example.org.")
    await named.make("subnet", network_id=network["id"], cidr="10.0.0.0/24")
    assert network["dns_domain"] == "net.example.org."
    port = await named.make("port", network_id=network["id"], dns_name="web")
    assert port["dns_assignment"][0]["fqdn"] == "web.net.example.org."
    body = {"network": {"dns_domain": None}}
    changed = (await named("PUT", f"/networks/{network['id']}", json=body)).json["network"]
    assert changed["dns_domain"] == ""
    now = (await named("GET", f"/ports/{port['id']}")).json["port"]
    assert now["dns_assignment"][0]["fqdn"] == "web.cloud.example.org."
    assert (await named("GET", "/networks?dns_domain=")).json["networks"]


async def test_without_any_domain(cloud: Cloud) -> None:
    network, _ = await cloud.network()
    port = await cloud.make("port", network_id=network["id"], dns_name="web")
    assert port["dns_assignment"][0]["fqdn"] == "web"
    refused = await cloud(
        "POST", "/ports", json={"port": {"network_id": network["id"], "dns_name": "web.example.org."}}
    )
    assert refused.status == 400


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("a..b", "empty component"), (".", "empty component"), ("-a", "hyphen"), ("a-", "hyphen"), ("a_b", "alphanumeric"),
        ("a b", "alphanumeric"), ("ä", "alphanumeric"), (LABEL + "a", "1-63 characters"), ("web.1", "all numeric"),
        (".".join([LABEL] * 3 + ["a" * 47]), "exceeds the 255"), ("web.elsewhere.org.", "below the domain"),
        ("cloud.example.org.", "below the domain"), ("a\nb", "control characters"),
    ],
)  # fmt: skip
async def test_bad_names(named: Cloud, name: str, why: str) -> None:
    network, _ = await named.network()
    port = await named.make("port", network_id=network["id"])
    for method, path, more in (("POST", "/ports", {"network_id": network["id"]}), ("PUT", f"/ports/{port['id']}", {})):
        refused = await named(method, path, json={"port": more | {"dns_name": name}})
        error = refused.json["NeutronError"]
        assert (refused.status, error["type"], why in error["message"]) == (400, "HTTPBadRequest", True), error
    assert (await named("GET", f"/ports/{port['id']}")).json["port"] == port


@pytest.mark.parametrize(
    "domain", ["example.org", "a..b.", ".", "-a.", "a_b.", "example.1.", ".".join([LABEL] * 4) + ".", "a\n."]
)
async def test_bad_domains(cloud: Cloud, domain: str) -> None:
    network, _ = await cloud.network()
    port = await cloud.make("port", network_id=network["id"])
    for method, path, body in (
        ("POST", "/networks", {"network": {"dns_domain": domain}}),
        ("PUT", f"/networks/{network['id']}", {"network": {"dns_domain": domain}}),
        ("PUT", f"/ports/{port['id']}", {"port": {"dns_domain": domain}}),
    ):
        refused = await cloud(method, path, json=body)
        assert (refused.status, refused.json["NeutronError"]["type"]) == (400, "HTTPBadRequest"), path


async def test_a_guest_of_a_network_gives_it_no_names_of_other_domains(cloud: Cloud) -> None:
    network = await cloud.make("network", "admin", shared=True)
    await cloud.make("subnet", "admin", network_id=network["id"], cidr="10.0.0.0/24")
    port = await cloud.make("port", network_id=network["id"], dns_name="www")
    body = {"port": {"dns_domain": "example.org."}}
    assert (await cloud("PUT", f"/ports/{port['id']}", json=body)).status == 403
    body = {"port": {"network_id": network["id"], "dns_domain": "example.org."}}
    assert (await cloud("POST", "/ports", json=body)).status == 403
    assert (await _changed(cloud, port, "admin", dns_domain="example.org."))["dns_domain"] == "example.org."


async def test_floating_ips_have_no_names(cloud: Cloud) -> None:
    outside, _ = await cloud.network("172.24.0.0/24", "admin")
    body = {"network": {"router:external": True}}
    assert (await cloud("PUT", f"/networks/{outside['id']}", token="admin", json=body)).status == 200
    floating = await cloud.make("floatingip", floating_network_id=outside["id"], dns_name="", dns_domain="")
    assert (floating["dns_name"], floating["dns_domain"]) == ("", "")
    refused = await cloud("PUT", f"/floatingips/{floating['id']}", json={"floatingip": {"dns_name": "web"}})
    assert (refused.status, "publishes" in refused.json["NeutronError"]["message"]) == (400, True)


async def test_hosts_are_told(named: Cloud) -> None:
    network, subnet = await named.network()
    plain = await named.make("subnet", network_id=network["id"], cidr="10.1.0.0/24", dns_nameservers=["8.8.8.8"])
    _, plane = await named.agent()
    port = await named.bound(network, dns_name="web")
    body = {"network": {"dns_domain": "net.example.org."}}
    assert (await named("PUT", f"/networks/{network['id']}", json=body)).status == 200
    body = {"port": {"dns_domain": "own.example.org."}}
    assert (await named("PUT", f"/ports/{port['id']}", token="admin", json=body)).status == 200

    def told() -> set[tuple[str, str, str]]:
        return {(net.dns_domain, one.hostname, one.dns_domain) for net in plane.state.networks for one in net.ports}

    await until(lambda: told() == {("net.example.org", "web", "own.example.org")})
    servers = {one.id: (one.dns_nameservers, one.dhcp_ip) for net in plane.state.networks for one in net.subnets}
    names, own = servers[subnet["id"]]
    assert names == (own, "9.9.9.9")
    assert servers[plain["id"]][0] == ("8.8.8.8",)
