"""The volume service's refusals, with upstream's wording and codes."""

from __future__ import annotations

from kilonova.core.errors import BadRequest, Conflict, Forbidden, NotFound, ServiceUnavailable, TooLarge


class InvalidVolume(BadRequest):
    template = "Invalid volume: {reason}"


class InvalidSnapshot(BadRequest):
    template = "Invalid snapshot: {reason}"


class InvalidInput(BadRequest):
    template = "Invalid input received: {reason}"


class InvalidParameter(BadRequest):
    template = "{reason}"


class VolumeNotFound(NotFound):
    template = "Volume {volume_id} could not be found."


class SnapshotNotFound(NotFound):
    template = "Snapshot {snapshot_id} could not be found."


class AttachmentNotFound(NotFound):
    template = "Volume attachment could not be found with filter: attachment_id = {attachment_id}."


class TypeNotFound(NotFound):
    template = "Volume type {type_id} could not be found."


class TypeNameNotFound(NotFound):
    template = "Volume type with name {name} could not be found."


class TypeExists(Conflict):
    template = "Volume Type {name} already exists."


class TypeInUse(BadRequest):
    template = "Target volume type is still in use."


class DefaultTypeStays(BadRequest):
    template = "The volume type {type_id} is the default volume type and cannot be deleted."


class TypeAccessExists(Conflict):
    template = "Volume type access for {type_id} / {project_id} combination already exists."


class TypeAccessNotFound(NotFound):
    template = "Volume type access not found for {type_id} / {project_id} combination."


class PublicTypeHasNoAccess(Conflict):
    template = "Invalid volume type: Type access modification is not applicable to public volume type."


class ItemNotFound(NotFound):
    template = "{what} has no metadata with key {name}."


class ExtraSpecNotFound(NotFound):
    template = "Volume Type {type_id} has no extra specs with key {name}."


class MessageNotFound(NotFound):
    template = "Message {message_id} could not be found."


class ServiceNotFound(NotFound):
    template = "Service {binary} could not be found on host {host}."


class HostNotFound(NotFound):
    template = "Host {host} could not be found."


class MarkerNotFound(NotFound):
    template = "Volume marker {marker} could not be found."


class NotAttached(BadRequest):
    template = "Invalid volume: Volume {volume_id} is not attached."


class VolumeQuotaExceeded(TooLarge):
    template = "VolumeLimitExceeded: Maximum number of volumes allowed ({limit}) exceeded for quota '{name}'."


class SnapshotQuotaExceeded(TooLarge):
    template = "SnapshotLimitExceeded: Maximum number of snapshots allowed ({limit}) exceeded"


class SizeQuotaExceeded(TooLarge):
    template = (
        "VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed {name} quota. Requested "
        "{asked}G, quota is {limit}G and {used}G has been consumed."
    )


class OneVolumeTooLarge(TooLarge):
    template = "VolumeSizeExceedsLimit: Requested volume size {asked}G is larger than maximum allowed limit {limit}G."


class AttachedToAnother(Conflict):
    template = "{reason}"


class DetachThroughCompute(Conflict):
    """A user may not take a volume away from a server that has it behind compute's back (CVE-2023-2088)."""

    template = "Detach volume from instance {server_id} using the Compute API"


class BackendAway(ServiceUnavailable):
    template = "The back end of volume {volume_id} does not answer now."


class NotAllowed(Forbidden):
    template = "{reason}"


class BackendRefused(BadRequest):
    """What a back end answered to its agent; crosses the bus."""

    template = "The back end could not do it: {reason}"


class TypeAccessOfPublic(NotFound):
    template = "Access list not available for public volume types."


class TransferNotFound(NotFound):
    template = "Transfer {transfer_id} could not be found."


class QosNotFound(NotFound):
    template = "No such qos_specs: {specs_id}."


class QosExists(Conflict):
    template = "Qos Specs {name} already exists."


class QosInUse(BadRequest):
    template = "Qos Specs {specs_id} is still associated with entities."


class QosKeyNotFound(NotFound):
    template = "Qos Specs {specs_id} has no spec with key {name}."


class InvalidQos(BadRequest):
    template = "Invalid qos specs: {reason}"


class EncryptionNotFound(NotFound):
    template = "Volume type encryption for type {type_id} does not exist."


class EncryptionExists(BadRequest):
    template = "Volume type encryption for type {type_id} already exists."


class NoEncryptedVolumes(BadRequest):
    template = "Volume type {name} asks for encryption, which is not available in this cloud yet."


class DefaultTypeNotFound(NotFound):
    template = "Default volume type for project {project_id} not found."


class BackupNotFound(NotFound):
    template = "Backup {backup_id} could not be found."


class InvalidBackup(BadRequest):
    template = "Invalid backup: {reason}"


class BackupQuotaExceeded(TooLarge):
    template = "BackupLimitExceeded: Maximum number of backups allowed ({limit}) exceeded"
