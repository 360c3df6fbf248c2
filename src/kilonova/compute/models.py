"""Records that components of compute hand each other: over the bus, and as stored documents. Sizes: memory MiB, disk GiB."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec


class Record(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Tolerates unknown fields, so that neighbours of the next release may send more."""


class Flavor(Record, kw_only=True):
    """A flavor as it was when the server was made. `id` is the flavorid that users see."""

    id: str
    name: str
    vcpus: int
    memory_mb: int
    root_gb: int
    ephemeral_gb: int = 0
    swap_mb: int = 0
    rxtx_factor: float = 1.0
    extra_specs: dict[str, str] = {}
    description: str | None = None


class Image(Record, kw_only=True):
    """What a launch must know of an image; `size` in bytes."""

    id: str
    name: str | None = None
    disk_format: str | None = None
    container_format: str | None = None
    size: int = 0
    min_disk: int = 0
    min_ram: int = 0
    hash_algo: str | None = None
    hash_value: str | None = None
    kernel: Image | None = None  # from the kernel_id and ramdisk_id properties
    ramdisk: Image | None = None
    properties: dict[str, str] = {}


class NetworkRequest(Record, kw_only=True):
    """One wanted interface: an existing port, or a port on a network, with a fixed address or without."""

    network_id: str | None = None
    port_id: str | None = None
    fixed_ip: str | None = None
    tag: str | None = None


class KeyPair(Record, kw_only=True):
    name: str
    public_key: str
    type: str = "ssh"


class PersonalityFile(Record, kw_only=True):
    path: str
    contents: bytes


class Snapshot(Record, kw_only=True):
    """An image that is being made of a server's disk. A backup has a type, and only the newest `rotation` of that type stay;
    `shelves`: the server is to have its disk from it again."""

    image: str
    disk_format: str = "qcow2"
    backup_type: str | None = None
    rotation: int = 0
    shelves: bool = False


class Rescue(Record, kw_only=True):
    """What a server is rescued with: an image, None: the one it was made of."""

    image: Image | None = None
    admin_pass: str | None = None  # wiped when the server is rescued


class Ephemeral(Record, kw_only=True):
    """A blank disk of the host for a server; `size_gb` None: as large as the flavor's."""

    size_gb: int | None = None
    format: str | None = None


class RequestSpec(Record, kw_only=True):
    """All that a launch needs and the server's row doesn't hold; kept for rebuilds and moves."""

    flavor: Flavor
    image: Image | None = None
    availability_zone: str | None = None
    force_host: str | None = None
    force_node: str | None = None
    requested_host: str | None = None  # checked by the filters, unlike force_host
    ignore_hosts: list[str] = []
    scheduler_hints: dict[str, list[str]] = {}
    networks: list[NetworkRequest] = []
    networks_auto: bool = False  # `networks: auto`
    security_groups: list[str] = []  # ids
    key_pair: KeyPair | None = None
    personality: list[PersonalityFile] = []
    admin_pass: str | None = None  # wiped when the server is active
    preserve_ephemeral: bool = False  # of the newest rebuild
    guest_password: str | None = None  # that the guest has left, encrypted with its user's key
    attempts: int = 0
    failed_hosts: dict[str, str] = {}  # host → step and reason, over all attempts
    failed_details: dict[str, str] = {}  # host → what admins may read of it
    alternates: list[str] = []  # hosts still to try when this attempt fails, best first
    keep_claim_on: str | None = None  # a host whose claim stays beside the new one, until a move ended
    rescue: Rescue | None = None  # until it is unrescued
    shelved_image: str | None = None  # id of the image that has the disk of a shelved server
    disk_from: Image | None = None  # that image, while the server is unshelved on a new host
    snapshot: Snapshot | None = None  # until the action that makes it has ended
    ephemerals: list[Ephemeral] | None = None  # None: as the flavor says
    swap_mb: int | None = None  # likewise
    volumes: bool = False  # the server has volumes, or had some: its host asks which
    volume_backed: bool = False  # its root disk is one; `image` is then what is known of the volume's content


class SubnetInfo(Record, kw_only=True):
    """What a guest's network file and the addresses view need of a subnet."""

    id: str
    cidr: str
    ip_version: int = 4
    gateway_ip: str | None = None
    enable_dhcp: bool = True
    dns_nameservers: list[str] = []
    host_routes: list[tuple[str, str]] = []
    ipv6_address_mode: str | None = None


class FixedIp(Record, kw_only=True):
    address: str
    subnet: SubnetInfo
    floating_ips: list[str] = []


class Vif(Record, kw_only=True):
    """One interface of a server, as stored in `servers.network_info`. `vif_type` and `details` are those of the port's binding,
    of any type that the network service knows; a host makes a `VifBinding` of them. `created`: compute made the port, so it is
    deleted with the server."""

    port_id: str
    network_id: str
    network_name: str
    mac_address: str
    fixed_ips: list[FixedIp] = []
    mtu: int = 1500
    vif_type: str = "bridge"
    details: dict[str, Any] = {}
    tag: str | None = None
    created: bool = True
    active: bool = False

    @property
    def device_name(self) -> str:
        """The network device on the host; "" where the binding names none."""
        return str(self.details.get("tap_name", ""))


class Server(Record, kw_only=True):
    """A server as the agent sees it: the row's facts, without the user's wishes."""

    uuid: str
    number: int  # the row's id, which the guest is named after
    name: str
    hostname: str
    project_id: str
    user_id: str
    vm_state: str
    task_state: str | None = None
    power_state: int = 0
    host: str | None = None
    availability_zone: str | None = None
    reservation_id: str = ""
    launch_index: int = 0
    config_drive: bool = False
    user_data: str | None = None  # base64
    metadata: dict[str, str] = {}
    network_info: list[Vif] = []
    security_groups: list[str] = []


class Fault(Record, kw_only=True):
    """Why something failed: `step` and `reason` for all users, `details` for admins."""

    step: str
    reason: str
    details: str | None = None
    code: int = 500


class Place(Record, kw_only=True):
    """Where a new host awaits a guest that runs: the address of its relay (HOST:PORT), and the values in which the guest's
    definition differs there, as its driver names them."""

    relay: str
    differs: dict[str, str] = {}


class Progress(Record, kw_only=True):
    """Of a guest on its way, in bytes."""

    memory_total: int = 0
    memory_processed: int = 0
    memory_remaining: int = 0
    disk_total: int = 0
    disk_processed: int = 0
    disk_remaining: int = 0


class Wishes(Record, kw_only=True):
    """What operators want of a guest that is on its way; `wanted`: whether the migration goes on at all."""

    wanted: bool = True
    cancelled: bool = False
    hurried: bool = False


class Move(Record, kw_only=True):
    """A server's way from one host to another: what was asked, and what was tried. `kind` is one of `moves.KINDS`, `migration`
    its record's uuid; `shared`: whether the disks are on storage that both hosts use, None: the next host finds it out.

    `leg` is the part that is under way, `hops` its number, `dest` the host that was chosen, `action` the server action where it
    is not the kind's (a way back that was asked for). Of a kind that leaves its host:
    the flavors before and afterwards (`flavor_ids`: their numbers), `left` once the disks are set aside, which the
    old host serves to those who know `secret`, and, on its way back, the `message` of why (`details` for admins).

    Of a guest that runs on meanwhile: what it `needs` of a host, whether the disks are to be copied (`block`, None: as is found),
    the `place` that its new host has made ready, and what operators wished since: that it stays (`cancelled`), or goes at once
    (`hurried`)."""

    kind: str
    migration: str
    source: str
    dest: str | None = None
    action: str = ""
    leg: str = "arrive"
    hops: int = 0
    old_flavor: Flavor | None = None
    new_flavor: Flavor | None = None
    flavor_ids: tuple[int | None, int | None] = (None, None)
    same_host: bool = False  # the old host will do as well
    vm_state: str = ""  # what the server is again at the end
    left: bool = False
    secret: str = ""
    message: str | None = None
    details: str = ""
    target: str | None = None
    force: bool = False
    shared: bool | None = None
    stopped: bool = False  # the server stays off
    admin_pass: str | None = None  # wiped at the end
    attempts: int = 0
    failed_hosts: dict[str, str] = {}
    failed_details: dict[str, str] = {}
    alternates: list[str] = []
    block: bool | None = None
    needs: dict[str, str] = {}
    place: Place | None = None
    cancelled: bool = False
    hurried: bool = False


class Departed(Record, kw_only=True):
    """A server that was moved to another host, and whose old host has not yet removed what it has of it."""

    migration: str
    server_uuid: str
    shared: bool  # the disks are the other host's now
    port_ids: list[str] = []
    aside: bool = False  # it left with its disks, which were set aside
    here: bool = False  # it is on this host again


class TaggedVolume(Record, kw_only=True):
    """A volume as a guest reads of it at the metadata service; `name` as vdb."""

    volume_id: str
    name: str
    tag: str


class ConnectedVolume(Record, kw_only=True):
    """A volume as a host gives it to a guest. `connection` is how the host reaches it (Cinder's connection_info), `name` the
    device's (vdb), `device` the uuid of its row; `size` in GiB."""

    device: str
    volume_id: str
    connection: dict[str, Any]
    name: str = ""
    boot_index: int | None = None
    bus: str | None = None
    device_type: str | None = None
    tag: str | None = None
    shared: bool = False  # other servers may have it, too
    size: int = 0


class ServerBuild(Record, kw_only=True):
    """All a host needs to launch a server, or to make it again (start after a crash, hard reboot, move).
    `request_id` and `attempt` make a repeated message known. `grant` is what the host's account may do for the server.
    `arguments` are what the action was asked with, nothing secret."""

    server: Server
    spec: RequestSpec
    request_id: str
    attempt: int = 1
    action: str = "create"
    move: Move | None = None
    grant: str = ""
    arguments: dict[str, str] = {}


class StepRecord(Record, kw_only=True):
    """A step that began and perhaps ended. `key` is unique to this run of the step."""

    key: str
    server_uuid: str
    request_id: str
    action: str
    step: str
    component: str
    host: str | None = None
    attempt: int = 1
    started_at: dt.datetime
    finished_at: dt.datetime | None = None
    result: str | None = None  # Success | Error | Undone
    detail: str | None = None


class ServerChange(Record, kw_only=True):
    """A compare-and-swap on a server: applied only while host, vm_state and task_state are among the expected ones, and while the
    action of the request `expect_open` has not ended.
    With `expect_move` (a migration's uuid) the server is on its way to the expected host, not there yet. Fields left
    UNSET stay as they are."""

    expect_host: str | None = None
    expect_move: str | None = None
    expect_open: str | None = None
    expect_vm_states: list[str] | None = None
    expect_task_states: list[str | None] | None = None
    vm_state: str | msgspec.UnsetType = msgspec.UNSET
    task_state: str | msgspec.UnsetType | None = msgspec.UNSET
    power_state: int | msgspec.UnsetType = msgspec.UNSET
    network_info: list[Vif] | msgspec.UnsetType = msgspec.UNSET


class BuildOutcome(Record, kw_only=True):
    """How a host's attempt at a launch ended. A failed attempt has undone its steps. `reschedule` False: another host
    would fail alike (bad image). `move` is the migration's uuid where it was one, `leg` the part of it."""

    server_uuid: str
    request_id: str
    attempt: int
    host: str
    ok: bool
    fault: Fault | None = None
    reschedule: bool = True
    power_state: int = 0
    network_info: list[Vif] = []
    steps: list[StepRecord] = []
    move: str | None = None
    leg: str = ""
    shared: bool = False
    place: Place | None = None


class HostFacts(Record, kw_only=True):
    cpu_arch: str = "x86_64"
    cpu_info: dict[str, str] = {}
    supported: list[tuple[str, str, str]] = []  # (arch, hv_type, vm_mode)
    firmware: list[str] | None = None  # of bios and uefi; None: not known
    disk_available_gb: int = 0
    virt_driver: str = ""
    transfer_url: str = ""  # where it serves disks that were set aside to the hosts that take the servers over


class HostStats(Record, kw_only=True):
    running_vms: int = 0
    io_ops: int = 0  # builds, resizes, snapshots in progress
    building: int = 0


class HostReport(Record, kw_only=True):
    """A compute host's heartbeat. `reserved_*` is kept for the host itself; ratios are the host's overcommit."""

    host: str
    hypervisor_hostname: str
    node_uuid: str
    host_ip: str = "127.0.0.1"
    vcpus: int
    memory_mb: int
    disk_gb: int
    reserved_memory_mb: int = 0
    reserved_disk_gb: int = 0
    reserved_vcpus: int = 0
    cpu_ratio: float = 4.0
    ram_ratio: float = 1.0
    disk_ratio: float = 1.0
    hypervisor_type: str
    hypervisor_version: int
    facts: HostFacts = msgspec.field(default_factory=HostFacts)
    stats: HostStats = msgspec.field(default_factory=HostStats)


class HostState(Record, kw_only=True):
    """A host as filters and weighers see it. Free = capacity (with overcommit) minus claims."""

    host: str
    node: str
    node_uuid: str
    enabled: bool = True
    up: bool = True
    availability_zone: str = "nova"
    aggregates: list[dict[str, str]] = []  # their metadata
    vcpus_total: int = 0
    vcpus_free: int = 0
    memory_mb_total: int = 0
    memory_mb_free: int = 0
    disk_gb_total: int = 0
    disk_gb_free: int = 0
    vcpus_used: int = 0
    memory_mb_used: int = 0
    disk_gb_used: int = 0
    host_ip: str | None = None
    hypervisor_type: str = ""
    hypervisor_version: int = 0
    facts: HostFacts = msgspec.field(default_factory=HostFacts)
    stats: HostStats = msgspec.field(default_factory=HostStats)


class FilterReason(Record, kw_only=True):
    """What one filter did in one decision."""

    filter: str
    before: int
    after: int


class HostReason(Record, kw_only=True):
    """Why a host was refused (first filter that did, with what it saw), or its weight."""

    host: str
    refused_by: str | None = None
    saw: str = ""
    weight: float | None = None
    weights: dict[str, float] = {}


class Decision(Record, kw_only=True):
    """A scheduling decision with its reasons. `seconds` is what it took; at most 100 hosts are kept."""

    scheduler: str
    chosen: str | None
    alternates: list[str] = []
    filters: list[FilterReason] = []
    hosts: list[HostReason] = []
    candidates: int = 0
    seconds: float = 0.0
    at: dt.datetime | None = None


class Selection(Record, kw_only=True):
    """Where a server goes; None for no host. The claim on `host` is written."""

    server_uuid: str
    host: str | None
    node: str | None = None
    availability_zone: str | None = None
    alternates: list[str] = []
    claim_began: dt.datetime | None = None
    claim_ended: dt.datetime | None = None
    decision: Decision


class ServerRef(Record, kw_only=True):
    """A server an agent already holds, and the action on it."""

    build: ServerBuild
    request_id: str
    action: str


class ConsolePlace(Record, kw_only=True):
    """A console that there is: `url` of the WebSocket that its host relays it by, which wants a ticket; `life` is another one
    each time the guest was switched on."""

    url: str
    life: str


class ConsoleTicket(Record, kw_only=True):
    """Opens a console once, soon: `secret` is the bearer token of the WebSocket at `url`."""

    url: str
    secret: str


class ExternalEvent(Record, kw_only=True):
    """`network-vif-plugged` and the like; `tag` is the port's id."""

    name: str
    server_uuid: str
    status: str = "completed"
    tag: str | None = None
