"""What the first clients did: log in by headers at the compute URL, go on with the URL they were given."""

from __future__ import annotations

import httpx
import pytest

from kilonova.testing.cluster import PASSWORD
from tests.process.cloud.harness import CloudProcess


@pytest.mark.parametrize("place", ["/v1.1/", "/v1.1", "/compute/v1.1", "/compute/v1.0"])
def test_login_and_launch(cloud: CloudProcess, place: str) -> None:
    demo = cloud.api("demo")
    image = demo.image("old")
    given = {"X-Auth-User": "demo", "X-Auth-Key": PASSWORD, "X-Auth-Project-Id": "demo"}
    with httpx.Client(timeout=60, trust_env=False) as http:
        logged_in = http.get(cloud.url + place, headers=given)
        assert (logged_in.status_code, logged_in.content) == (204, b"")
        management = logged_in.headers["x-server-management-url"]
        assert management == f"{cloud.url}/compute/v1.1/{demo.project_id}"
        for url in (management, f"{cloud.url}/v1.1/{demo.project_id}"):
            body = {"server": {"name": "old", "imageRef": image, "flavorRef": demo.flavor_id(), "blob": "x"}}
            body["server"]["networks"] = [{"uuid": demo.network("old", "10.91.0.0/24")}]
            for headers in (
                {"X-Auth-Token": logged_in.headers["x-auth-token"], "X-Auth-Project-Id": "demo"},
                {"X-Auth-Key": logged_in.headers["x-auth-token"], "X-Auth-Project-Id": "demo"},
            ):
                made = http.post(f"{url}/servers", json=body, headers=headers)
                assert made.status_code == 202, made.text
                server = made.json()["server"]
                assert demo.wait(server["id"], "ACTIVE")["name"] == "old"
                shown = http.get(server["links"][0]["href"], headers=headers)
                assert (shown.status_code, shown.json()["server"]["status"]) == (200, "ACTIVE")
                assert http.delete(f"{url}/servers/{server['id']}", headers=headers).status_code == 204
                demo.wait_gone(server["id"])
        for wrong in ({"X-Auth-Key": "x"}, {"X-Auth-User": "x"}, {"X-Auth-Project-Id": "admin"}):
            refused = http.get(cloud.url + place, headers=given | wrong)
            assert (refused.status_code, "x-auth-token" in refused.headers) == (401, False)
        assert http.get(cloud.url + place).status_code == 401
