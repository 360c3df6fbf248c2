"""Image's refusals, with upstream's wording and codes."""

from __future__ import annotations

from kilonova.core.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    Gone,
    KilonovaError,
    NotFound,
    ServiceUnavailable,
    TooLarge,
    UnsupportedMediaType,
)


class ImageNotFound(NotFound):
    template = "No image found with ID {image_id}"


class ImageExists(Conflict):
    template = "Image ID {image_id} already exists!"


class InvalidObject(BadRequest):
    template = "Provided object does not match schema '{schema}': {reason}"


class InvalidQuery(BadRequest):
    template = "{reason}"


class InvalidPatch(BadRequest):
    template = "{reason}"


class ReadOnlyAttribute(Forbidden):
    template = "Attribute '{name}' is read-only."


class ReservedAttribute(Forbidden):
    template = "Attribute '{name}' is reserved."


class ForeignOwner(Forbidden):
    template = "You are not permitted to create images owned by '{owner}'"


class OwnerNotChangeable(Forbidden):
    template = "Owner can't be updated by non admin."


class NotRemovable(Forbidden):
    template = "Property {name} may not be removed."


class NoSuchProperty(Conflict):
    template = "Property {name} does not exist."


class LocationsNotChangeable(Forbidden):
    template = "It's not allowed to {verb} locations if locations are invisible."


class OnlyWhileQueued(Forbidden):
    template = "Attribute {name} can be only replaced for a queued image."


class ImageProtected(Forbidden):
    template = "Image {image_id} is protected and cannot be deleted."


class InvalidStatusTransition(Conflict):
    template = "Image status transition from {current} to {wanted} is not allowed"


class WrongStatusForAction(Forbidden):
    template = "Not allowed to {action} image in status '{status}'"


class Deactivated(Forbidden):
    template = "The requested image has been deactivated. Image data download is forbidden."


class FormatsMissing(BadRequest):
    template = "Properties {names} must be set prior to saving data."


class NotOctetStream(UnsupportedMediaType):
    template = "Invalid content type {content_type}"


class NotAPatch(UnsupportedMediaType):
    template = "Image PATCH expects Content-Type one of: {allowed}"


class InvalidImageSize(BadRequest):
    template = "Invalid or missing image size in request headers."


class ShortUpload(BadRequest):
    template = "The request announced {announced} bytes of image data, but {received} came."


class ImageTooLarge(TooLarge):
    template = "The incoming image is too large: at most {limit} bytes are allowed."


class StorageFull(TooLarge):
    template = "Image storage media is full: There is not enough disk space on the image storage media."


class InvalidImageData(UnsupportedMediaType):
    """The content is not what was declared, or not safe to hand to a hypervisor."""

    template = "{reason}"


class NotRaw(UnsupportedMediaType):
    template = (
        "This cloud stores images in Ceph, where disks of servers are clones of raw images; image {image_id} is {disk_format}. "
        "Convert the file (qemu-img convert -f {disk_format} -O raw FILE FILE.raw) and upload it with disk_format raw."
    )


class StoreAway(ServiceUnavailable):
    template = "The image store does not answer. Please try again later."


class DataMissing(Gone):
    template = "The data of image {image_id} are missing from the image store."


class DeletedDuringUpload(Gone):
    template = (
        "Image {image_id} could not be found after upload. The image may have been deleted during the upload, "
        "cleaning up the chunks uploaded."
    )


class RangeNotSatisfiable(KilonovaError):
    status = 416
    template = "The requested range does not fit an image of {size} bytes."


class LimitExceeded(TooLarge):
    template = (
        "The limit has been exceeded on the number of allowed image {what}. Attempted: {attempted}, Maximum: {maximum}"
    )


class OverQuota(TooLarge):
    template = (
        "Project {project_id} is over a limit for [Resource {resource} is over limit of {limit} due to current usage {used} "
        "and delta {delta}]"
    )


class NotShared(Forbidden):
    template = "Only shared images have members."


class MemberExists(Conflict):
    template = "Member {member_id} is duplicated for image {image_id}"


class MemberNotFound(NotFound):
    template = "{member_id} not found in the member list of the image {image_id}."
