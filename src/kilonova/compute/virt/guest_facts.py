"""What the cloud knows of a guest and lets it read: the input of `personalise`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from kilonova.core.addresses import parse_address


class KeyPair(msgspec.Struct, frozen=True, kw_only=True):
    """A key pair; `type` is ssh or x509."""

    name: str
    public_key: str
    type: str = "ssh"


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """A static route: `destination` is a CIDR."""

    destination: str
    gateway: str


class FixedIP(msgspec.Struct, frozen=True, kw_only=True):
    """An address of a NIC with its subnet. `dhcp`: the guest gets it by DHCP, else its network configuration names it."""

    address: str
    cidr: str
    gateway: str | None = None
    dns: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()
    dhcp: bool = True
    ipv6_mode: str | None = None  # slaac, dhcpv6-stateful, dhcpv6-stateless

    @property
    def version(self) -> int:
        return parse_address(self.address).version


class Nic(msgspec.Struct, frozen=True, kw_only=True):
    """A network interface of the guest, in the order the guest sees them."""

    mac: str
    port_id: str
    network_id: str
    mtu: int | None = None
    vif_type: str = "bridge"
    fixed_ips: tuple[FixedIP, ...] = ()

    @property
    def link(self) -> str:
        """The name of the host's tap device."""
        return f"tap{self.port_id[:11]}"


class GuestFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a guest may read about itself. `hostname` is fully qualified; `number` is the server's small number, from
    which its EC2 id is made; `ami_id`, `kernel_id`, `ramdisk_id` are EC2 names (`ami-00000001`); `admin_pass` is for
    config drives only; `random_seed` is 512 random bytes; `files` are the personality (path, content)."""

    uuid: str
    number: int
    name: str
    hostname: str
    project_id: str
    availability_zone: str = "nova"
    launch_index: int = 0
    reservation_id: str = ""
    key_pairs: tuple[KeyPair, ...] = ()
    user_data: bytes | None = None
    metadata: Mapping[str, str] = {}
    admin_pass: str | None = None
    random_seed: bytes = b""
    nics: tuple[Nic, ...] = ()
    files: tuple[tuple[str, bytes], ...] = ()
    instance_type: str = ""
    ami_id: str = ""
    kernel_id: str | None = None
    ramdisk_id: str | None = None
    security_groups: tuple[str, ...] = ()
    public_ipv4: str = ""
    block_devices: Mapping[str, str] = msgspec.field(default_factory=lambda: {"ami": "vda", "root": "/dev/vda"})
    devices: tuple[Mapping[str, Any], ...] = ()  # tagged NICs and disks, in the form of meta_data.json
    vendor_data: Mapping[str, Any] = {}
    dynamic_vendor_data: Mapping[str, Any] = {}

    @property
    def ec2_id(self) -> str:
        return f"i-{self.number:08x}"

    @property
    def ssh_keys(self) -> list[str]:
        return [pair.public_key.strip() for pair in self.key_pairs if pair.type == "ssh"]

    @property
    def local_ipv4(self) -> str:
        return next((ip.address for nic in self.nics for ip in nic.fixed_ips if ip.version == 4), "")
