"""Documents of all services; what their routes do is compared with what they declare in all other tests."""

from __future__ import annotations

from typing import Any

import pytest
from openapi_spec_validator import validate
from tools.make_reference import TITLES, services

from kilonova.core.web.gateway import Gateway
from kilonova.core.web.transport import AsgiTransport
from tests.support import Client


@pytest.fixture(scope="module")
def every_service(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return {service.prefix: service for service in services(tmp_path_factory.mktemp("state"))}


@pytest.fixture
def service(request: pytest.FixtureRequest, every_service: dict[str, Any]) -> Any:
    return every_service[f"/{request.param}"]


@pytest.mark.parametrize("service", TITLES, indirect=True)
def test_each_route_has_a_summary(service):
    assert [f"{route.method} {route.path}" for route in service.routes if not route.summary.endswith(".")] == []


@pytest.mark.parametrize("service", sorted(TITLES.keys() - {"metadata"}), indirect=True)
async def test_its_document_is_valid(service):

    client = Client(AsgiTransport(Gateway({service.prefix: service.app})))
    answer = await client("GET", f"{service.prefix}/openapi.json", token=None)
    assert answer.status == 200
    validate(answer.json)
    operations = [(path, method) for path, methods in answer.json["paths"].items() for method in methods]
    assert len(operations) == len(service.routes)
    assert [name for name in answer.json["components"]["schemas"] if "." in name] == []


async def test_computes_document_has_the_query_parameters(every_service):
    client = Client(AsgiTransport(Gateway({"/compute": every_service["/compute"].app})))
    made = (await client("GET", "/compute/openapi.json", token=None)).json
    listed = {one["name"]: one for one in made["paths"]["/v2.1/flavors"]["get"]["parameters"] if "name" in one}
    assert {"limit", "marker", "minRam", "minDisk", "is_public", "sort_key", "sort_dir", "name"} == listed.keys()
    assert listed["name"]["x-openstack"] == {"min-ver": "2.102"}
