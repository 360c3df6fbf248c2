"""What administrators see of a running guest, in both forms."""

from __future__ import annotations

import datetime as dt

from kilonova.compute.diagnostics import DiskCounts, GuestDiagnostics, NicCounts

FOUND = GuestDiagnostics(
    driver="libvirt", hypervisor="kvm", cpu_times=[17, 18], memory_maximum=524288, memory_used=262144, memory={"rss": 9},
    disks=[DiskCounts(device="vda", read_bytes=1, read_requests=2, write_bytes=3, write_requests=4, errors=5)],
    nics=[
        NicCounts(device="tap1", mac_address="fa:16:3e:00:00:01", rx_octets=1, rx_packets=2, rx_errors=3, rx_drop=4,
                  tx_octets=5, tx_packets=6, tx_errors=7, tx_drop=8),
        NicCounts(device="", mac_address="fa:16:3e:00:00:02"),
    ],
)  # fmt: skip
FLAT = {
    "cpu0_time": 17, "cpu1_time": 18, "vda_read": 1, "vda_read_req": 2, "vda_write": 3, "vda_write_req": 4, "vda_errors": 5,
    "tap1_rx": 1, "tap1_rx_packets": 2, "tap1_rx_errors": 3, "tap1_rx_drop": 4, "tap1_tx": 5, "tap1_tx_packets": 6,
    "tap1_tx_errors": 7, "tap1_tx_drop": 8, "memory": 524288, "memory-rss": 9,
}  # fmt: skip


async def test_both_forms(cloud):
    server_id = await cloud.active()
    launched = cloud.service.core.clock.row_time() - dt.timedelta(hours=1)
    await cloud.row(server_id, launched_at=launched, config_drive=True)
    cloud.agent.answers["diagnostics"] = FOUND
    path = f"/servers/{server_id}/diagnostics"
    answer = await cloud("GET", path, "2.47", "admin")
    assert (answer.status, answer.json) == (200, FLAT)
    shown = (await cloud("GET", path, "2.48", "admin")).json
    assert 3600 <= shown.pop("uptime") < 7200
    nothing = dict.fromkeys(
        f"{way}_{what}" for way in ("rx", "tx") for what in ("octets", "errors", "drop", "packets", "rate")
    )
    one = {
        "rx_octets": 1, "rx_packets": 2, "rx_errors": 3, "rx_drop": 4, "tx_octets": 5, "tx_packets": 6, "tx_errors": 7,
        "tx_drop": 8,
    }  # fmt: skip
    assert shown == {
        "state": "running", "driver": "libvirt", "hypervisor": "kvm", "hypervisor_os": "linux", "config_drive": True,
        "num_cpus": 2, "num_nics": 2, "num_disks": 1, "memory_details": {"maximum": 512, "used": 256},
        "cpu_details": [{"id": 0, "time": 17, "utilisation": None}, {"id": 1, "time": 18, "utilisation": None}],
        "disk_details": [
            {"read_bytes": 1, "read_requests": 2, "write_bytes": 3, "write_requests": 4, "errors_count": 5}
        ],
        "nic_details": [
            nothing | one | {"mac_address": "fa:16:3e:00:00:01"}, nothing | {"mac_address": "fa:16:3e:00:00:02"},
        ],
    }  # fmt: skip
    assert cloud.agent.seen == [("diagnostics", (server_id,))] * 2


async def test_refusals(cloud):
    server_id = await cloud.active()
    path = f"/servers/{server_id}/diagnostics"
    for token in ("member", "reader", "foreign"):
        assert (await cloud("GET", path, token=token)).status == 403
    assert (await cloud("GET", f"{path}?x=1", token="admin", at="2.102")).status == 400
    await cloud.row(server_id, host="host-9")
    answer = await cloud("GET", path, token="admin")
    words = f"Unable to contact the host of instance {server_id}"
    assert (answer.status, answer.json["conflictingRequest"]["message"]) == (409, words)
    await cloud.row(server_id, host=None)
    answer = await cloud("GET", path, token="admin")
    assert (answer.status, answer.json["conflictingRequest"]["message"]) == (409, f"Instance {server_id} is not ready")
