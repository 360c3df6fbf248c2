"""Wire shapes of server actions: what the key of an action holds, and what is answered."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType, field

from kilonova.compute.resources.servers.schemas import (
    NAMES,
    Address,
    Certificates,
    DiskConfig,
    FlavorRef,
    Label,
    PersonalityIn,
    UserData,
)
from kilonova.compute.web.fields import (
    AdminPass,
    Boolean,
    Fqdn,
    HostName,
    Line,
    Metadata,
    Name,
    Number,
    ShortDescription,
    Uuid,
    matching,
)
from kilonova.core.web.wire import Body, View, versions

BlockMigration = (
    Annotated[
        str,
        matching(
            r"\A(?i:true|false|1|0|on|off|yes|no|auto)\Z",
            "a boolean, one of the texts true, false, 1, 0, on, off, yes, no, or auto",
        ),
    ]
    | bool
)
IpAddress = Annotated[str, matching(r"\A[0-9a-fA-F:.]{2,45}\Z", "an IP address")]


class Reboot(Body, kw_only=True):
    type: Literal["HARD", "Hard", "hard", "SOFT", "Soft", "soft"]


class Lock(Body, kw_only=True):
    locked_reason: Annotated[Line, Meta(min_length=1)] | None = None


class ResetState(Body, kw_only=True):
    state: Literal["active", "error"]


class ConsoleOutput(Body, kw_only=True):
    """`length` is a number of lines; -1 and None are all."""

    length: (
        Annotated[str, matching(r"\A-?[0-9]{1,9}\Z", "a number of lines, or -1")] | Annotated[int, Meta(ge=-1)] | None
    ) = None


class Evacuate(Body, kw_only=True, rename={"shared": "onSharedStorage", "admin_pass": "adminPass"}):
    """`onSharedStorage` must be given until 2.13, and is found out by the host since."""

    host: HostName | UnsetType = UNSET
    shared: Annotated[Boolean | UnsetType, versions("2.1", "2.13")] = UNSET
    admin_pass: AdminPass | UnsetType = UNSET
    force: Annotated[Boolean | UnsetType, versions("2.29", "2.67")] = UNSET


class CreateImage(Body, kw_only=True):
    """`metadata` are properties of the new image."""

    name: Name
    metadata: Metadata = field(default_factory=dict)


class CreateBackup(Body, kw_only=True):
    """Of all backups of this type only the newest `rotation` stay."""

    name: Name
    backup_type: Annotated[str, Meta(max_length=255)]
    rotation: Number
    metadata: Metadata = field(default_factory=dict)


class ImageMade(View, kw_only=True):
    """From 2.45 on; until then the header Location names the image."""

    image_id: str


class Resize(Body, kw_only=True, rename={"flavor": "flavorRef", "disk_config": "OS-DCF:diskConfig"}):
    flavor: FlavorRef
    disk_config: Literal["AUTO", "MANUAL"] | UnsetType = UNSET


class Migrate(Body, kw_only=True):
    """Read since 2.56."""

    host: HostName | None = None


class MigrateLive(Body, kw_only=True):
    """`disk_over_commit` must be given until 2.24, when `block_migration` was no `auto` yet."""

    host: HostName | None
    block_migration: BlockMigration
    disk_over_commit: Annotated[Boolean | UnsetType, versions("2.1", "2.24")] = UNSET
    force: Annotated[Boolean | UnsetType, versions("2.30", "2.67")] = UNSET


class Rescue(Body, kw_only=True, rename={"admin_pass": "adminPass"}):
    """The image to start from: the operator's, or the server's own, where none is given."""

    admin_pass: AdminPass | UnsetType = UNSET
    rescue_image_ref: Uuid | UnsetType = UNSET


class Rescued(View, kw_only=True, rename={"admin_pass": "adminPass"}):
    admin_pass: str


class Rebuild(Body, kw_only=True, rename=NAMES):
    """What is not named stays as it is; a null takes it away."""

    image_ref: Uuid
    name: Name | UnsetType = UNSET
    admin_pass: AdminPass | UnsetType = UNSET
    metadata: Metadata | UnsetType = UNSET
    preserve_ephemeral: Boolean = False
    disk_config: DiskConfig | UnsetType = UNSET
    access_ip_v4: Address | UnsetType | None = UNSET
    access_ip_v6: Address | UnsetType | None = UNSET
    personality: Annotated[list[PersonalityIn] | UnsetType, versions("2.1", "2.56")] = UNSET
    description: Annotated[ShortDescription | UnsetType | None, versions("2.19")] = UNSET
    key_name: Annotated[Name | UnsetType | None, versions("2.54")] = UNSET
    user_data: Annotated[UserData | UnsetType | None, versions("2.57")] = UNSET
    trusted_image_certificates: Annotated[Certificates | UnsetType | None, versions("2.63")] = UNSET
    hostname_label: Annotated[Label | UnsetType, versions("2.90", "2.93", name="hostname")] = UNSET
    hostname: Annotated[Fqdn | UnsetType, versions("2.94")] = UNSET


class NewPassword(Body, kw_only=True, rename={"admin_pass": "adminPass"}):
    admin_pass: AdminPass


class Unshelve(Body, kw_only=True):
    """Where to: a zone from 2.77 on (null: any, from 2.91 on), a host from 2.91 on."""

    availability_zone: Name | UnsetType | None = UNSET
    host: Annotated[HostName | UnsetType, versions("2.91")] = UNSET


class GroupName(Body, kw_only=True):
    name: Name


class FixedIpOn(Body, kw_only=True, rename={"network_id": "networkId"}):
    network_id: Annotated[str, Meta(min_length=1, max_length=36)] | int


class OneAddress(Body, kw_only=True):
    address: IpAddress


class FloatingIpFor(Body, kw_only=True):
    """`fixed_address` is where it is to lead; without one, to the server's first of IPv4."""

    address: IpAddress
    fixed_address: IpAddress | UnsetType = UNSET


class ConsoleText(View, kw_only=True):
    output: str


class Evacuated(View, kw_only=True, rename={"admin_pass": "adminPass"}):
    """Until 2.13 alone; the password is null where the disks are shared."""

    admin_pass: str | None
