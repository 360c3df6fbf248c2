"""Launching real guests in tests and speaking to them, from the namespace of their network."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

from kilonova.guest.build import GuestImages
from tests.eventually import eventually
from tests.process.cloud.harness import Api, CloudProcess

BOOT = 60.0


class Guest:
    def __init__(self, guests: Guests, server_id: str) -> None:
        self.guests, self.id, self.inside = guests, server_id, guests.inside
        server = guests.demo.wait(server_id, "ACTIVE", "VERIFY_RESIZE", timeout=300)
        addresses = server["addresses"]  # of several networks, the one that tests reach
        self.ip: str = addresses.get("guests", next(iter(addresses.values())))[0]["addr"]

    def console(self) -> str:
        body = {"os-getConsoleOutput": {}}
        return str(self.guests.demo.ok("POST", "compute", f"/servers/{self.id}/action", body)["output"])

    def wait_console(self, pattern: str, timeout: float = BOOT) -> re.Match[str]:
        return eventually(
            lambda: re.search(pattern, self.console()), lambda: f"no {pattern!r} in:\n{self.console()[-1500:]}", timeout, 0.2
        )  # fmt: skip

    def words(self, address: str, command: str) -> list[str]:
        """The command that runs `command` in the guest, which is reached at `address`."""
        options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "ConnectTimeout=3"]
        flags = [part for option in options for part in ("-o", option)]
        return ["ssh", "-i", str(self.guests.key), *flags, f"root@{address}", command]

    def ssh(self, command: str, *, timeout: float = 20) -> subprocess.CompletedProcess[str]:
        return self.inside(self.words(self.ip, command), timeout=timeout)

    def wait_ssh(self, command: str = "true", timeout: float = BOOT) -> str:
        done: subprocess.CompletedProcess[str] = eventually(
            lambda: self.ssh(command), lambda: f"no ssh to:\n{self.console()[-1500:]}", timeout, 0.3,
            satisfies=lambda done: done.returncode == 0,
        )  # fmt: skip
        return done.stdout

    def port_open(self, port: int = 22) -> bool:
        script = f"import socket; socket.create_connection(('{self.ip}', {port}), 2)"
        return self.inside(["python3", "-c", script], timeout=120).returncode == 0

    def action(self, body: dict[str, Any], *statuses: str) -> None:
        """Ends early, and says why, when the action has failed and left the server in another status."""
        demo = self.guests.demo
        demo.ok("POST", "compute", f"/servers/{self.id}/action", body)

        def settled(found: dict[str, Any]) -> bool:
            if found["OS-EXT-STS:task_state"] is not None or found["status"] in statuses:
                return found["OS-EXT-STS:task_state"] is None
            newest = demo.ok("GET", "compute", f"/servers/{self.id}/os-instance-actions")["instanceActions"][0]
            assert newest["message"] is None, f"{newest['action']} failed:\n{self.guests.logs()[-6000:]}"
            return False

        eventually(lambda: demo.server(self.id), f"the server is not {' or '.join(statuses)}", 300, satisfies=settled)

    def delete(self) -> None:
        self.guests.demo.ok("DELETE", "compute", f"/servers/{self.id}")
        self.guests.demo.wait_gone(self.id)


class Guests:
    """Images, network, key and group that the guests of a session share."""

    def __init__(self, cloud: CloudProcess, images: GuestImages, user: str = "demo", *, raw: bool = False) -> None:
        self.cloud, self.files = cloud, images
        self.demo: Api = cloud.api(user)
        self.key: Path = cloud.state / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key)], check=True)
        public = self.key.with_suffix(".pub").read_text().strip()
        self.demo.ok("POST", "compute", "/os-keypairs", {"keypair": {"name": "key", "public_key": public}})
        self.network = self.demo.network("guests", "10.66.0.0/24")
        self.whole_disk = self._raw_disk() if raw else self._qcow2_disk()
        self.group = self.new_group("guests")
        self.made: list[str] = []

    def _qcow2_disk(self) -> str:
        return self.demo.image("disk", self.files.disk_qcow2.read_bytes(), disk_format="qcow2")

    def _raw_disk(self) -> str:
        """The file system alone; its guests have kernel and ramdisk beside it."""
        kernel, ramdisk = (
            self.demo.image(kind, file.read_bytes(), disk_format=kind, container_format=kind)
            for kind, file in (("aki", self.files.kernel), ("ari", self.files.initrd))
        )
        beside = {
            "kernel_id": kernel,
            "ramdisk_id": ramdisk,
            "os_command_line": f"root=/dev/vda {self.files.kernel_args}",
        }
        return self.demo.image("disk", self.files.root.read_bytes(), disk_format="raw", **beside)

    def logs(self) -> str:
        return self.cloud.logs()

    def new_group(self, name: str) -> str:
        body = {"security_group": {"name": name}}
        return str(self.demo.ok("POST", "network", "/security-groups", body)["security_group"]["id"])

    def allow(self, protocol: str, port: int | None = None, **fields: Any) -> str:
        """A new ingress rule of the group; its id."""
        rule = {"security_group_id": self.group, "direction": "ingress", "ethertype": "IPv4", "protocol": protocol}
        rule |= fields
        if port is not None:
            rule |= {"port_range_min": port, "port_range_max": port}
        made = self.demo.ok("POST", "network", "/security-group-rules", {"security_group_rule": rule})
        return str(made["security_group_rule"]["id"])

    def forbid(self, rule_id: str) -> None:
        self.demo.ok("DELETE", "network", f"/security-group-rules/{rule_id}")

    def launch(self, image: str | None = None, **fields: Any) -> Guest:
        return Guest(self, self.ask(image, **fields))

    def ask(self, image: str | None = None, **fields: Any) -> str:
        """Ask for a guest; its id."""
        flavor = self.demo.flavor_id("m1.nano")
        asked = {"flavorRef": flavor, "key_name": "key", "security_groups": [{"name": "guests"}]} | fields
        server_id = self.demo.launch(image or self.whole_disk, [{"uuid": self.network}], **asked)
        self.made.append(server_id)
        return server_id

    def inside(self, command: list[str], *, timeout: float) -> subprocess.CompletedProcess[str]:
        """Run a command in the network's namespace."""
        return self.run(["ip", "netns", "exec", f"qdhcp-{self.network}", *command], timeout)

    def run(self, command: list[str], timeout: float) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(command, capture_output=True, text=True, timeout=timeout)
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, 124, "", "timed out")

    def remove_all(self) -> None:
        for server_id in self.made:
            self.demo("DELETE", "compute", f"/servers/{server_id}")
            self.demo.wait_gone(server_id)
