"""All settings of a cloud: one section a component, each with its own Struct of defaults."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec

from kilonova.compute.agent.options import AgentOptions
from kilonova.compute.conductor.options import ConductorOptions
from kilonova.compute.options import ComputeOptions
from kilonova.compute.scheduler.options import SchedulerOptions
from kilonova.core import config
from kilonova.core.notify.options import NotificationOptions
from kilonova.core.web.limits import Limits
from kilonova.identity.options import IdentityOptions
from kilonova.image.options import ImageOptions
from kilonova.network.options import NetworkOptions

DATABASES = ("identity", "image", "placement", "compute", "network")


def _said(description: str) -> msgspec.Meta:
    """What `kilonova config show` prints above a key."""
    return msgspec.Meta(description=description)


class CloudSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`state_dir` keeps everything; "" is /var/lib/kilonova for root, else ~/.local/share/kilonova. `public_url` is what the
    catalog names; "" is made of listen and port."""

    state_dir: str = ""
    region: str = "RegionOne"
    listen: str = "127.0.0.1"
    port: int = 8774
    public_url: str = ""
    policy_dir: str = ""
    fake_hosts: int = 1


class LogSettings(msgspec.Struct, frozen=True, kw_only=True):
    level: str = "info"
    json: bool = False


class BusSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`host_users` names the compute hosts' broker users, with `{host}` where the host's name stands: kilonova-host-{host}. ""
    means that hosts share the control plane's, and any of them can speak for all: see docs on the bus."""

    url: str = "memory://"
    host_users: str = ""


class CacheSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`memory://`, or `memcached://HOST:PORT[,HOST:PORT…]` for what the processes of a cloud share; `memcacheds://…?cafile=FILE`
    with TLS."""

    url: str = "memory://"


class DatabaseSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`url` is for all services, with `{service}` where a service's name stands: postgresql://…/{service}. A service's own key
    wins. "" is a SQLite file in the state directory."""

    url: str = ""
    identity: str = ""
    image: str = ""
    placement: str = ""
    compute: str = ""
    network: str = ""

    def urls(self) -> dict[str, str]:
        """Service → URL, of those that have one."""
        named = {name: getattr(self, name) or self.url.replace("{service}", name) for name in DATABASES}
        return {name: url for name, url in named.items() if url}


class EndpointSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A service's base URL as the other services reach it, prefix included: http://10.0.0.10:8774/compute. "" is its prefix
    below `public_url`. `ops` is where `kilonova verify` asks: beside the compute API."""

    identity: str = ""
    image: str = ""
    placement: str = ""
    compute: str = ""
    network: str = ""
    metadata: str = ""
    ops: str = ""


class ServeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Of `kilonova serve`. Times in seconds. `port` 0 is the component's own; without a `health_port` a component that has
    no API shows no health. After SIGTERM an API says for `drain_notice` that it is not ready, then finishes what it began
    within `drain_timeout`. `ca_file` proves the others where [endpoints] are https with a certificate of one's own;
    with `cert_file` and `key_file` (PEM) the APIs themselves speak https.

    The rest is of `kilonova up` too: how many connections are open at once, at most and from one address or IPv6 /64 (less where
    the system allows fewer open files), in what time a request's head must be there, and for how long its body may come more
    slowly than 500 bytes a second. Behind a balancer all connections come from the balancer's address."""

    listen: str = "127.0.0.1"
    port: int = 0
    workers: Annotated[int, msgspec.Meta(ge=1, le=256)] = 1
    health_port: int = 0
    drain_notice: float = 2.0
    drain_timeout: float = 60.0
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    connections: Annotated[int, msgspec.Meta(ge=1)] = 8192
    connections_per_address: Annotated[int, msgspec.Meta(ge=1)] = 2048
    head_timeout: Annotated[float, msgspec.Meta(gt=0)] = 10.0
    body_timeout: Annotated[float, msgspec.Meta(gt=0)] = 30.0

    @property
    def limits(self) -> Limits:
        return Limits(
            connections=self.connections, connections_per_address=self.connections_per_address,
            head_timeout=self.head_timeout, body_timeout=self.body_timeout,
        )  # fmt: skip


class SecretSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Passwords and keys; "" means: made at the first start and kept in `secrets.json` of the state directory. Compute hosts
    need `compute_password` and `metadata_secret` alone; `grant_secret` signs what a host may do for a server (core/grants.py)."""

    admin_password: str = ""
    demo_password: str = ""
    service_password: str = ""
    compute_password: str = ""
    grant_secret: str = ""
    metadata_secret: str = ""
    cache_secret: str = ""


SECRET_KEYS = frozenset(SecretSettings.__struct_fields__)


class DriverSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The hypervisor drivers' own options, by their names (see compute/virt)."""

    libvirt: dict[str, Any] = {}
    fake: dict[str, Any] = {}


class DiskSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Guests' disks as files below the state directory, of hosts with libvirt."""

    raw_disks: Annotated[
        bool,
        _said(
            "new root disks: true for full raw copies, false for qcow2 overlays on the image (upstream: use_cow_images)"
        ),
    ] = False
    owner: Annotated[str, _said('the user that guests run as, who owns their disks; "": the agent itself')] = (
        "libvirt-qemu"
    )


class DataPlaneSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`driver` is bridge, noop, or "" for what goes with the hypervisor driver. `tunnel_ip` is this host's address (IPv4) that
    the other hosts reach for guests' traffic; "" means no tunnels. `vxlan_port` is the same on all hosts of a cloud."""

    driver: str = ""
    instance: str = "kn"
    dns_domain: str = ""
    tunnel_ip: str = ""
    vxlan_port: int = 4789
    mark: Annotated[int, _said("the one bit of the packet mark that the filters use")] = 0x10000
    lease_time: Annotated[int, _said("seconds for which a guest's DHCP lease holds")] = 86400
    dnsmasq_user: Annotated[
        str, _said('the user dnsmasq runs as; "": dnsmasq where it exists and can read the state directory, else root')
    ] = ""
    command_timeout: Annotated[float, _said("seconds that one ip, iptables or dnsmasq command may take")] = 30.0


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
    network: NetworkOptions
    compute: ComputeOptions
    scheduler: SchedulerOptions
    conductor: ConductorOptions
    agent: AgentOptions
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
