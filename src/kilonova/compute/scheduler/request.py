"""What is asked of the hosts: the request as filters and weighers see it."""

from __future__ import annotations

import msgspec

from kilonova.compute.models import RequestSpec


class GroupView(msgspec.Struct, kw_only=True):
    """A server group and where its members are: host → how many."""

    uuid: str
    policy: str
    rules: dict[str, int] = {}
    hosts: dict[str, int] = {}

    def refuses(self, host: str) -> str | None:
        """Why the group's hard policy keeps another member off this host; None when it doesn't."""
        if self.policy == "affinity" and self.hosts and host not in self.hosts:
            return f"members are on {', '.join(sorted(self.hosts)[:3])}"
        if self.policy == "anti-affinity":
            limit = self.rules.get("max_server_per_host", 1)
            if (held := self.hosts.get(host, 0)) >= limit:
                return f"{held} members here, {limit} allowed"
        return None


class FilterRequest(msgspec.Struct, kw_only=True):
    """`server_hosts`: the hosts of the servers that hints name (uuid → host); `group` changes while the servers of one
    request are placed one after another."""

    spec: RequestSpec
    vcpus: int
    memory_mb: int
    disk_gb: int
    group: GroupView | None = None
    server_hosts: dict[str, str] = {}

    @classmethod
    def of(cls, spec: RequestSpec) -> FilterRequest:
        wanted = resources(spec)
        return cls(
            spec=spec,
            vcpus=wanted.get("VCPU", 0),
            memory_mb=wanted.get("MEMORY_MB", 0),
            disk_gb=wanted.get("DISK_GB", 0),
        )

    def kind(self) -> bytes | None:
        """The same for requests to which every host gives the same answer; None where the answers hang on other servers, too."""
        if self.group is not None or self.server_hosts or self.spec.scheduler_hints:
            return None
        return msgspec.msgpack.encode(msgspec.structs.replace(without_secrets(self.spec), networks_auto=False))

    def hint(self, name: str) -> list[str]:
        return self.spec.scheduler_hints.get(name, [])

    @property
    def extra_specs(self) -> dict[str, str]:
        return self.spec.flavor.extra_specs

    @property
    def image_properties(self) -> dict[str, str]:
        return self.spec.image.properties if self.spec.image is not None else {}


def resources(spec: RequestSpec) -> dict[str, int]:
    """What a server claims: class → amount, zeros left out. A root disk that is a volume is not the host's."""
    flavor = spec.flavor
    root = 0 if spec.volume_backed or spec.image is None else flavor.root_gb
    amounts = {
        "VCPU": flavor.vcpus,
        "MEMORY_MB": flavor.memory_mb,
        "DISK_GB": root + flavor.ephemeral_gb + -(-flavor.swap_mb // 1024),
    }
    return {name: amount for name, amount in amounts.items() if amount > 0}


def without_secrets(spec: RequestSpec) -> RequestSpec:
    """What the scheduler needs of a spec; equal for all servers of one request."""
    return msgspec.structs.replace(
        spec,
        admin_pass=None,
        rescue=None,
        snapshot=None,
        personality=[],
        key_pair=None,
        networks=[],
        security_groups=[],
        alternates=[],
        attempts=0,
        failed_details={},
    )
