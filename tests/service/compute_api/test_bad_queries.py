"""Whatever a list is asked with, the answer is the client's fault or a list, never the server's."""

from __future__ import annotations

import pytest

from tests.service.compute_api.support import version
from tests.support import PROJECT

VALUES = (
    "", "0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00", "2026-01-01", "x" * 5000, "%0a", "-1", "1e9", "9" * 20,
    "%F0%9F%98%80", "null", "[]", "' OR 1=1 --", "%D9%A1", "..%2F..",
)  # fmt: skip
PAGE, TIMES = ("limit", "marker"), ("changes-since", "changes-before")
LISTS = {
    "/limits": ("tenant_id",),
    f"/os-quota-sets/{PROJECT}": ("user_id",),
    f"/os-quota-sets/{PROJECT}/detail": ("user_id",),
    "/os-simple-tenant-usage": (*PAGE, "start", "end", "detailed"),
    f"/os-simple-tenant-usage/{PROJECT}": (*PAGE, "start", "end"),
    "/os-server-groups": ("all_projects", "limit", "offset"),
    "/os-services": ("host", "binary"),
    "/os-migrations": (
        *PAGE, *TIMES, "host", "status", "instance_uuid", "user_id", "project_id", "hidden", "migration_type", "source_compute",
    ),
    "/os-hypervisors": (*PAGE, "with_servers", "hypervisor_hostname_pattern"),
    "/flavors": (*PAGE, "minRam", "minDisk", "is_public", "sort_key", "sort_dir", "name"),
    "/os-keypairs": (*PAGE, "user_id"),
    "/os-hosts": ("zone",),
    "/servers": (*PAGE, *TIMES, "name", "status", "ip", "tags", "locked", "created_at", "launched_at", "power_state", "progress"),
}  # fmt: skip


@pytest.mark.parametrize("path", LISTS)
async def test_no_value_is_the_servers_fault(cloud, path):
    await cloud.seen("host-1")
    await cloud.active()
    for name in LISTS[path]:
        for value in VALUES:
            for at in ("2.1", "2.42", "2.104"):
                asked = f"/compute/v2.1{path}?{name}={value}"
                answer = await cloud.client("GET", asked, headers=version(at))
                assert answer.status < 500, (asked, at, answer.content)


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00", "yesterday"])
async def test_moments_that_no_calendar_has(cloud, moment):
    for path in (f"/os-simple-tenant-usage/{PROJECT}?start={moment}", f"/servers?changes-since={moment}"):
        answer = await cloud("GET", path, token="reader")
        assert answer.status == 400, (path, answer.content)
