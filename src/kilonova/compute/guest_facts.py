"""What a guest can read about itself, taken from its build: for the config drive, injected files and the metadata service."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from hashlib import sha512

from kilonova.compute.models import FixedIp, ServerBuild, TaggedVolume, Vif
from kilonova.compute.virt.guest_facts import FixedIP, GuestFacts, KeyPair, Nic, Route


def facts_of(
    build: ServerBuild, vifs: Sequence[Vif], volumes: Sequence[TaggedVolume] = (), *, domain: str = "novalocal"
) -> GuestFacts:
    """`volumes` are those with a tag; `domain` is appended to a host name without one, as DHCP gives it; the random seed is made
    of the server."""
    server, spec = build.server, build.spec
    image = spec.image
    return GuestFacts(
        uuid=server.uuid,
        number=server.number,
        name=server.name,
        hostname=f"{server.hostname}.{domain}" if domain and "." not in server.hostname else server.hostname,
        project_id=server.project_id,
        availability_zone=server.availability_zone or "nova",
        launch_index=server.launch_index,
        reservation_id=server.reservation_id,
        key_pairs=(KeyPair(**_key(build)),) if spec.key_pair is not None else (),
        user_data=base64.b64decode(server.user_data) if server.user_data else None,
        metadata=server.metadata,
        admin_pass=spec.admin_pass,
        random_seed=_seed(build),
        nics=tuple(_nic(vif) for vif in vifs),
        files=tuple((file.path, file.contents) for file in spec.personality),
        instance_type=spec.flavor.name,
        ami_id=image.id if image is not None else "",
        kernel_id=image.kernel.id if image is not None and image.kernel is not None else None,
        ramdisk_id=image.ramdisk.id if image is not None and image.ramdisk is not None else None,
        security_groups=tuple(server.security_groups),
        public_ipv4=next((address for vif in vifs for ip in vif.fixed_ips for address in ip.floating_ips), ""),
        devices=(*(_device(vif) for vif in vifs if vif.tag), *map(_disk, volumes)),
    )


def _key(build: ServerBuild) -> dict[str, str]:
    key = build.spec.key_pair
    return {"name": key.name, "public_key": key.public_key, "type": key.type} if key is not None else {}


def _seed(build: ServerBuild) -> bytes:
    """512 bytes; no secret, but different for every server."""
    block = f"{build.server.uuid}/{build.server.reservation_id}".encode()
    return b"".join(sha512(block + bytes([n])).digest() for n in range(8))


def _nic(vif: Vif) -> Nic:
    return Nic(
        mac=vif.mac_address,
        port_id=vif.port_id,
        network_id=vif.network_id,
        mtu=vif.mtu,
        vif_type=vif.vif_type,
        fixed_ips=tuple(_fixed_ip(ip) for ip in vif.fixed_ips),
    )


def _fixed_ip(ip: FixedIp) -> FixedIP:
    subnet = ip.subnet
    return FixedIP(
        address=ip.address,
        cidr=subnet.cidr,
        gateway=subnet.gateway_ip,
        dns=tuple(subnet.dns_nameservers),
        routes=tuple(Route(destination=to, gateway=via) for to, via in subnet.host_routes),
        dhcp=subnet.enable_dhcp,
        ipv6_mode=subnet.ipv6_address_mode,
    )


def _disk(volume: TaggedVolume) -> dict[str, object]:
    return {
        "type": "disk", "bus": "none", "serial": volume.volume_id, "path": f"/dev/{volume.name}", "tags": [volume.tag],
    }  # fmt: skip


def _device(vif: Vif) -> dict[str, object]:
    return {"type": "nic", "bus": "none", "mac": vif.mac_address, "tags": [vif.tag]}
