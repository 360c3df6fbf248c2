"""All settings of a cloud: one section a component, each with its own Struct of defaults."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from kilonova.compute.agent.options import AgentOptions
from kilonova.compute.conductor.options import ConductorOptions
from kilonova.compute.console_options import ConsoleOptions
from kilonova.compute.options import ComputeOptions
from kilonova.compute.scheduler.options import SchedulerOptions
from kilonova.compute.virt.fake_options import FakeOptions
from kilonova.compute.virt.libvirt.options import LibvirtOptions
from kilonova.core import config
from kilonova.core.ceph.options import CephOptions
from kilonova.core.config import doc
from kilonova.core.notify.options import NotificationOptions
from kilonova.core.registry import installed
from kilonova.core.web.limits import Limits
from kilonova.ec2.options import Ec2Options
from kilonova.identity.options import IdentityOptions
from kilonova.image.options import ImageOptions
from kilonova.network.options import NetworkOptions
from kilonova.volume.agent.options import VolumeAgentOptions
from kilonova.volume.options import VolumeConductorOptions, VolumeOptions

DATABASES = ("identity", "image", "placement", "compute", "network", "volume", "ec2")


class CloudSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Of the cloud as a whole, and of `kilonova up`."""

    state_dir: Annotated[
        str, doc('Directory that keeps everything; "": /var/lib/kilonova for root, else ~/.local/share/kilonova.')
    ] = ""
    region: Annotated[str, doc("Region in the catalog.")] = "RegionOne"
    listen: Annotated[str, doc("Address that `kilonova up` listens on.")] = "127.0.0.1"
    port: Annotated[int, doc("Port that `kilonova up` listens on.", ge=0, le=65535)] = 8774
    public_url: Annotated[str, doc('Where clients reach the cloud, for the catalog; "": made of listen and port.')] = ""
    policy_dir: Annotated[str, doc('Folder with SERVICE.yaml files that change policy rules; "": none.')] = ""
    fake_hosts: Annotated[int, doc("Compute hosts of one process, with the fake driver.", ge=1)] = 1


class LogSettings(msgspec.Struct, frozen=True, kw_only=True):
    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        doc("What is logged: debug, info, warning or error, and all above."),
    ] = "info"
    json: Annotated[bool, doc("Whether each line is a JSON object.")] = False


class BusSettings(msgspec.Struct, frozen=True, kw_only=True):
    url: Annotated[
        str, doc("memory:// for one process, amqp:// or amqps://USER:PASSWORD@HOST[,HOST…]/VHOST for RabbitMQ.")
    ] = "memory://"
    host_users: Annotated[
        str,
        doc(
            "Broker users of the compute hosts, with {host} for the host's name: kilonova-host-{host}. "
            '"": hosts share the control plane\'s user, and any of them can send as all.'
        ),
    ] = ""


class CacheSettings(msgspec.Struct, frozen=True, kw_only=True):
    url: Annotated[
        str,
        doc(
            "memory://, or memcached://HOST:PORT[,HOST:PORT…] for what the processes of a cloud share; with TLS "
            "memcacheds://…?cafile=FILE."
        ),
    ] = "memory://"


class DatabaseSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A service's own key wins over `url`."""

    url: Annotated[
        str, doc('Of all services, with {service} for its name: postgresql://…/{service}; "": SQLite files.')
    ] = ""
    identity: Annotated[str, doc("Identity's database.")] = ""
    image: Annotated[str, doc("The image service's database.")] = ""
    placement: Annotated[str, doc("Placement's database.")] = ""
    compute: Annotated[str, doc("Compute's database.")] = ""
    network: Annotated[str, doc("The network service's database.")] = ""
    volume: Annotated[str, doc("The volume service's database.")] = ""
    ec2: Annotated[str, doc("The EC2 API's database.")] = ""

    def urls(self) -> dict[str, str]:
        """Service → URL, of those that have one."""
        named = {name: getattr(self, name) or self.url.replace("{service}", name) for name in DATABASES}
        return {name: url for name, url in named.items() if url}


class EndpointSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Base URLs as the other services reach them, prefix included: http://10.0.0.10:8774/compute. "" is the service's prefix
    below `public_url`."""

    identity: Annotated[
        str, doc('URL of identity, prefix included. "": below public_url, which holds for all of these.')
    ] = ""
    image: Annotated[str, doc("URL of the image service.")] = ""
    placement: Annotated[str, doc("URL of placement.")] = ""
    compute: Annotated[str, doc("URL of the compute API.")] = ""
    network: Annotated[str, doc("URL of the network API.")] = ""
    volume: Annotated[str, doc("URL of the volume API.")] = ""
    metadata: Annotated[str, doc("URL of the metadata service.")] = ""
    console: Annotated[str, doc("URL of the console proxies, as browsers reach them.")] = ""
    ec2: Annotated[str, doc("URL of the EC2 API.")] = ""
    ops: Annotated[str, doc("Where `kilonova verify` asks: beside the compute API.")] = ""


class ServeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Of `kilonova serve`; certificate, connections and time-outs of `kilonova up` too. Behind a balancer all connections come
    from the balancer's address."""

    listen: Annotated[str, doc("Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, doc("Port of the API; 0: the component's usual one.", ge=0, le=65535)] = 0
    workers: Annotated[int, doc("Processes of an API, all on its port.", ge=1, le=256)] = 1
    health_port: Annotated[
        int, doc("Port of /healthcheck for a component without an API; 0: none.", ge=0, le=65535)
    ] = 0
    drain_notice: Annotated[
        float, doc("Seconds after SIGTERM that an API says it is not ready but still answers.", ge=0)
    ] = 2.0
    drain_timeout: Annotated[float, doc("Seconds in which a stopping process finishes what it began.", ge=0)] = 60.0
    ca_file: Annotated[
        str, doc("Certificates (PEM) of the authorities of other services, where [endpoints] are https.")
    ] = ""
    cert_file: Annotated[str, doc("Certificate (PEM) with which the APIs serve https.")] = ""
    key_file: Annotated[str, doc("Its key (PEM).")] = ""
    connections: Annotated[int, doc("Connections open at once; fewer where the system allows fewer files.", ge=1)] = (
        8192
    )
    connections_per_address: Annotated[int, doc("Connections open at once from one address.", ge=1)] = 2048
    head_timeout: Annotated[float, doc("Seconds in which a request's head must be complete.", gt=0)] = 10.0
    body_timeout: Annotated[
        float, doc("Seconds for which a request's body may be slower than 500 bytes a second.", gt=0)
    ] = 30.0

    @property
    def limits(self) -> Limits:
        return Limits(
            connections=self.connections, connections_per_address=self.connections_per_address,
            head_timeout=self.head_timeout, body_timeout=self.body_timeout,
        )  # fmt: skip


class SecretSettings(msgspec.Struct, frozen=True, kw_only=True):
    """ "" means: made at the first start and kept in `secrets.json` of the state directory. Compute hosts need `compute_password`
    and `metadata_secret` alone."""

    admin_password: Annotated[str, doc("Password of the user admin.")] = ""
    demo_password: Annotated[str, doc("Password of the user demo, an ordinary user.")] = ""
    service_password: Annotated[str, doc("Password of the account of the control plane's components.")] = ""
    compute_password: Annotated[str, doc("Password of the account of the compute hosts.")] = ""
    grant_secret: Annotated[str, doc("Signs what a host may do for a server.")] = ""
    metadata_secret: Annotated[str, doc("Signs guests' requests for metadata.")] = ""
    cache_secret: Annotated[str, doc("Encrypts values in memcached.")] = ""


SECRET_KEYS = frozenset(SecretSettings.__struct_fields__)


class OwnDriverSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The hypervisor drivers' own options, by their names: `[driver.libvirt]`."""

    libvirt: Annotated[LibvirtOptions, doc("Of the libvirt driver.")] = msgspec.field(default_factory=LibvirtOptions)
    fake: Annotated[FakeOptions, doc("Of the fake driver.")] = msgspec.field(default_factory=FakeOptions)


def _with_installed(own: type[msgspec.Struct]) -> Any:
    """`own` with a table for each installed driver whose package names an options Struct under the driver's name."""
    points = installed("virt_driver_options")
    kinds = {name: point.load() for name, point in points.items() if name not in own.__struct_fields__}
    fields = [
        (name, Annotated[kind, doc(f"Of the installed driver {name}.")], msgspec.field(default_factory=kind))
        for name, kind in kinds.items()
    ]
    words = {"__doc__": own.__doc__}
    return msgspec.defstruct("DriverSettings", fields, bases=(own,), namespace=words, frozen=True, kw_only=True)


if TYPE_CHECKING:
    DriverSettings = OwnDriverSettings
else:
    DriverSettings = _with_installed(OwnDriverSettings)


class DiskSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Guests' disks, of hosts with libvirt."""

    store: Annotated[
        Literal["file", "rbd"],
        doc(
            "Where they are: file (below the state directory), or rbd (Ceph: section ceph), as clones of images there."
        ),
    ] = "file"
    raw_disks: Annotated[
        bool, doc("New root disks: true for full raw copies, false for qcow2 overlays (upstream: use_cow_images).")
    ] = False
    owner: Annotated[str, doc('User that guests run as and that owns their disks; "": the agent\'s user.')] = (
        "libvirt-qemu"
    )


class DataPlaneSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Of a host's network agent."""

    driver: Annotated[
        str,
        doc('Data plane: bridge (of the parts below), noop, an installed one, or "": as the hypervisor driver asks.'),
    ] = ""
    l2: Annotated[str, doc("What joins guests on a host: bridge.")] = "bridge"
    firewall: Annotated[str, doc("What filters guests' traffic: iptables.")] = "iptables"
    overlay: Annotated[str, doc("What joins a network's hosts: vxlan.")] = "vxlan"
    dhcp: Annotated[str, doc("What hands out addresses: dnsmasq.")] = "dnsmasq"
    l3: Annotated[str, doc("What makes routers: namespace.")] = "namespace"
    instance: Annotated[
        str,
        doc("1 to 4 letters or digits in the names of this cloud's devices and chains, other than another cloud's."),
    ] = "kn"
    dns_domain: Annotated[str, doc('Domain of guests\' names where their network has none; "": none.')] = ""
    tunnel_ip: Annotated[
        str, doc('IPv4 address of this host that the others send guests\' frames to; "": no tunnels.')
    ] = ""
    vxlan_port: Annotated[int, doc("UDP port of tunnels, the same on all hosts.", ge=1, le=65535)] = 4789
    bridge_mappings: Annotated[
        dict[str, str],
        doc('Physical networks of flat networks, each with a bridge of this host: { public = "br-ex" }.'),
    ] = {}
    mark: Annotated[int, doc("The one bit of the packet mark that the filters use.")] = 0x10000
    lease_time: Annotated[int, doc("Seconds for which a guest's DHCP lease holds.", ge=1)] = 86400
    dnsmasq_user: Annotated[
        str, doc('User dnsmasq runs as; "": dnsmasq where it exists and can read the state directory, else root.')
    ] = ""
    command_timeout: Annotated[float, doc("Seconds that one ip, iptables or dnsmasq command may take.", gt=0)] = 30.0


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    cloud: CloudSettings
    log: LogSettings
    bus: BusSettings
    cache: CacheSettings
    notifications: NotificationOptions
    database: DatabaseSettings
    endpoints: EndpointSettings
    serve: ServeSettings
    secrets: SecretSettings
    identity: IdentityOptions
    image: ImageOptions
    ceph: CephOptions
    network: NetworkOptions
    compute: ComputeOptions
    ec2: Ec2Options
    scheduler: SchedulerOptions
    conductor: ConductorOptions
    console: ConsoleOptions
    agent: AgentOptions
    volume: VolumeOptions
    volume_conductor: VolumeConductorOptions
    volume_agent: VolumeAgentOptions
    driver: DriverSettings
    disks: DiskSettings
    dataplane: DataPlaneSettings

    @property
    def state_dir(self) -> Path:
        return Path(self.cloud.state_dir) if self.cloud.state_dir else default_state_dir()

    @property
    def host(self) -> str:
        """This machine's name in the cloud."""
        return self.agent.host or socket.gethostname()

    @property
    def public_url(self) -> str:
        return self.cloud.public_url.rstrip("/") or self.local_url

    @property
    def local_url(self) -> str:
        """Where `kilonova up` listens, seen from this machine."""
        host = "127.0.0.1" if self.cloud.listen in ("0.0.0.0", "::") else self.cloud.listen  # noqa: S104
        return f"http://{f'[{host}]' if ':' in host else host}:{self.cloud.port}"

    @property
    def is_spread(self) -> bool:
        """Whether it says where services are, so that they can be asked without a `kilonova up` here."""
        return bool(self.cloud.public_url or self.endpoints.identity)

    def endpoint(self, service: str) -> str:
        """Where the other services reach this one."""
        if service == "ops" and not self.endpoints.ops and self.endpoints.compute:
            return self.endpoints.compute.rstrip("/").removesuffix("/compute") + "/ops"
        given: str = getattr(self.endpoints, service)
        return given.rstrip("/") or f"{self.public_url}/{service}"

    def public_endpoint(self, service: str) -> str:
        """Where clients reach it: what the catalog says."""
        return f"{self.public_url}/{service}" if self.cloud.public_url else self.endpoint(service)


def default_state_dir() -> Path:
    if os.geteuid() == 0:
        return Path("/var/lib/kilonova")
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "kilonova"


def load(
    path: Path | None = None,
    *,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
    env: Mapping[str, str] | None = None,
) -> Settings:
    """The settings from a TOML file, the environment and `overrides` (section → key → value, from the command line, which
    win). Raises ConfigError."""
    variables = dict(os.environ if env is None else env)
    for short in ("admin_password", "demo_password"):
        if value := variables.get(f"KILONOVA_{short}".upper()):
            variables[f"KILONOVA_SECRETS_{short}".upper()] = value
    document = config.read(path)
    for section, values in (overrides or {}).items():
        document.setdefault(section, {}).update(values)
        for key in values:
            variables.pop(f"KILONOVA_{section}_{key}".upper(), None)
    return config.build(Settings, document, variables, str(path) if path else "defaults")
