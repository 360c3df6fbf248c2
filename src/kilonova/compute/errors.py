"""Compute's refusals, with upstream's wording and codes."""

from __future__ import annotations

from kilonova.core.errors import BadRequest, Conflict, Forbidden, KilonovaError, NotFound

OVER = "Requested {requested}, but already used {used} of {limit} {resource}"


class ServerNotFound(NotFound):
    template = "Instance {server_id} could not be found."


class FlavorNotFound(NotFound):
    template = "Flavor {flavor_id} could not be found."


class UnknownFlavor(BadRequest):
    template = "Flavor {flavor_id} could not be found."


class FlavorExists(Conflict):
    template = "Flavor with {field} {value} already exists."


class FlavorAccessExists(Conflict):
    template = "Flavor access already exists for flavor {flavor_id} and project {project_id} combination."


class FlavorAccessNotFound(NotFound):
    template = "Flavor access not found for {flavor_id} / {project_id} combination."


class FlavorIsPublic(NotFound):
    template = "Access list not available for public flavors."


class FlavorIsPublicConflict(Conflict):
    template = "Can not add access to a public flavor."


class ExtraSpecNotFound(NotFound):
    template = "Flavor {flavor_id} has no extra specs with key {key}."


class KeyPairNotFound(NotFound):
    template = "Keypair {name} not found for user {user_id}"


class KeyPairExists(Conflict):
    template = "Key pair '{name}' already exists."


class InvalidKeyPair(BadRequest):
    template = "Keypair data is invalid: {reason}"


class UnknownKeyPair(BadRequest):
    template = "Invalid key_name provided."


class KeyPairQuota(Forbidden):
    template = f"Quota exceeded, too many key pairs. {OVER}"


class UnknownImage(BadRequest):
    template = "Can not find requested image"


class MissingImageRef(BadRequest):
    template = "Missing imageRef attribute"


class ImageNotActive(BadRequest):
    template = "Image {image_id} is not active."


class ImageUnacceptable(BadRequest):
    template = "Image {image_id} is unacceptable: {reason}"


class FlavorUnacceptable(BadRequest):
    template = "Flavor {flavor_id} is unacceptable: {reason}"


class InvalidExtraSpec(BadRequest):
    template = "Validation failed; {reason}."


class FlavorDiskTooSmall(BadRequest):
    template = "Flavor's disk is too small for requested image. Flavor disk is {flavor_size} bytes, image is {image_size} bytes."


class FlavorDiskSmallerThanMinDisk(BadRequest):
    template = (
        "Flavor's disk is smaller than the minimum size specified in image metadata. "
        "Flavor disk is {flavor_size} bytes, minimum size is {min_disk} bytes."
    )


class FlavorMemoryTooSmall(BadRequest):
    template = (
        "Flavor's memory is too small for requested image. Flavor has {flavor_ram} MB, the image needs {image_ram} MB."
    )


class ZeroDiskFlavor(Forbidden):
    template = "Only volume-backed servers are allowed for flavors with zero disk."


class UnknownNetwork(BadRequest):
    template = "Network {network_id} could not be found."


class NetworkNeedsSubnet(BadRequest):
    template = "Network {network_id} requires a subnet in order to boot instances on."


class NetworkAmbiguous(Conflict):
    template = "Multiple possible networks found, use a Network ID to be more specific. Found: {networks}"


class NoAutoNetwork(BadRequest):
    template = "Unable to automatically allocate a network for project {project_id}"


class ExternalNetwork(Forbidden):
    template = "It is not allowed to create an interface on external network {network_id}"


class UnknownPort(BadRequest):
    template = "Port id {port_id} could not be found."


class PortInUse(Conflict):
    template = "Port {port_id} is still in use."


class PortNeedsFixedIp(BadRequest):
    template = "Port {port_id} requires a FixedIP in order to be used."


class FixedIpInUse(BadRequest):
    template = "Fixed IP address {address} is already in use on instance {server_id}."


class PortsForManyServers(BadRequest):
    template = "Failed to launch multiple instances with a port ID. Please specify a network instead."


class FixedIpForManyServers(BadRequest):
    template = "Failed to launch instances: can't use a fixed IP address for more than one instance."


class UnknownSecurityGroup(BadRequest):
    template = "Security group {name} not found for project {project_id}."


class AmbiguousSecurityGroup(Conflict):
    template = "Multiple security_group matches found for name '{name}', use an ID to be more specific."


class SecurityGroupNotFound(NotFound):
    template = "Security group {name} not found for project {project_id}."


class InvalidUserData(BadRequest):
    template = "User data needs to be valid base 64."


class MetadataNotFound(NotFound):
    template = "Metadata item was not found"


class TagNotFound(NotFound):
    template = "Instance {server_id} has no tag '{tag}'"


class TooMany(Forbidden):
    template = "{reason}"


class OverQuota(Forbidden):
    template = "Quota exceeded for {overs}: Requested {requested}, but already used {used} of {limits} {overs}"


class ServerLocked(Conflict):
    template = "Instance {server_id} is locked"


class InvalidState(Conflict):
    template = "Cannot '{action}' instance {server_id} while it is in {attribute} {state}"


class NotReady(Conflict):
    template = "Instance {server_id} is not ready"


class HostUnreachable(Conflict):
    template = "Unable to contact the host of instance {server_id}"


class UnknownServerGroup(BadRequest):
    template = "Instance group {group_id} could not be found."


class ServerGroupNotFound(NotFound):
    template = "Instance group {group_id} could not be found."


class ServerGroupQuota(Forbidden):
    template = f"Quota exceeded, too many server groups. {OVER}"


class ServerGroupMembersQuota(Forbidden):
    template = f"Quota exceeded, too many servers in group. {OVER}"


class ActionNotFound(NotFound):
    template = "Action for request_id {request_id} on instance {server_id} not found"


class AggregateNotFound(NotFound):
    template = "Aggregate {aggregate_id} could not be found."


class AggregateExists(Conflict):
    template = "Aggregate {name} already exists."


class AggregateHasHosts(BadRequest):
    template = "Host aggregate is not empty"


class AggregateHostExists(Conflict):
    template = "Aggregate {aggregate_id} already has host {host}."


class AggregateHostInOtherZone(Conflict):
    template = "Cannot add host to aggregate {aggregate_id}. Reason: One or more hosts already in availability zone(s) {zones}."


class ComputeHostNotFound(NotFound):
    template = "Compute host {host} could not be found."


class UnknownComputeHost(BadRequest):
    template = "Compute host {host} could not be found."


class ServiceNotFound(NotFound):
    template = "Service {service_id} not found."


class HostInUse(BadRequest):
    template = "Compute service of {host} is still in use."


class TargetNotFound(NotFound):
    template = "Compute host {host} not found."


class SameHost(BadRequest):
    template = "The target host can't be the same one."


class ForceWithoutHost(BadRequest):
    template = "Can't force to a non-provided destination"


class PasswordOnSharedDisk(BadRequest):
    template = "admin password can't be changed on existing disk"


class HostIsBusy(Conflict):
    template = "Unable to delete compute service that has in-progress migrations. Complete the migrations first."


class HypervisorNotFound(NotFound):
    template = "Hypervisor with ID '{hypervisor_id}' could not be found."


class InterfaceNotFound(NotFound):
    template = "Port {port_id} is not attached to instance {server_id}"


class NetworkNameNotFound(NotFound):
    template = "Instance does not belong to network {name}"


class VolumeAttachmentNotFound(NotFound):
    template = "Instance {server_id} is not attached to volume {volume_id}"


class ExtensionNotFound(NotFound):
    template = "Extension {alias} could not be found."


class NoSuchAction(BadRequest):
    template = "There is no such action: {action}"


class NotSupported(KilonovaError):
    """By the hypervisor of the server's host."""

    status = 501
    template = "The requested functionality is not supported."


class NotBuiltYet(KilonovaError):
    status = 501
    template = "{what} is not available in this cloud yet."


class UnknownMarker(BadRequest):
    template = "marker [{marker}] not found"


class InvalidSecurityGroupId(BadRequest):
    template = "Invalid ID {id}: a UUID is needed"


class InvalidPeriod(BadRequest):
    template = "Invalid start time. The start time cannot occur after the end time."


class UnknownZone(BadRequest):
    template = "The requested availability zone is not available"


class AmbiguousHostname(BadRequest):
    template = "Unable to allocate a single hostname to multiple instances"


class InvalidPattern(BadRequest):
    template = (
        "Invalid input for query parameters name. Value: {pattern}. '{pattern}' is not a 'regex' that can be used here: "
        "{reason}."
    )


class InvalidFilter(BadRequest):
    template = "Invalid filter field: {name}."


class ZonePinned(Conflict):
    template = (
        "Cannot change pinned availability zone directly. Unpin first by setting pinned_availability_zone to null."
    )


class ZoneElsewhere(Conflict):
    template = "Server can only be pinned to its current availability zone '{here}', but '{zone}' was requested."


class TwoDestinations(BadRequest):
    template = (
        "One mechanism with host and/or hypervisor_hostname and another mechanism with zone:host:node are "
        "mutually exclusive."
    )


class InvalidBlockDevice(BadRequest):
    template = "Block Device Mapping is Invalid: {details}"


class InvalidBootSequence(BadRequest):
    template = (
        "Block Device Mapping is Invalid: Boot sequence for the instance and image/block device mapping combination "
        "is not valid."
    )


class TooManyTags(BadRequest):
    template = "The number of tags exceeded the per-server limit {limit}"


class InvalidTag(BadRequest):
    template = "Tag '{tag}' is invalid. It must be a non empty string without characters '/' and ','."


class UriMismatch(BadRequest):
    template = "Request body and URI mismatch"


class GroupNotOnServer(NotFound):
    template = "Security group {name} not associated with the instance {server_id}"


class NoPorts(BadRequest):
    template = "Network requires port_security_enabled and subnet associated in order to apply security groups."


class MissingTag(NotFound):
    template = "Server {server_id} has no tag '{tag}'"


class OnlyCompute(BadRequest):
    template = "Updating a {binary} service is not supported. Only nova-compute services can be updated."


class HostBinaryNotFound(NotFound):
    template = "Could not find binary {binary} on host {host}."


class HostHasServers(Conflict):
    template = "Unable to delete compute service that is hosting instances. Migrate or delete the instances first."


class NoHypervisorMatches(NotFound):
    template = "No hypervisor matching '{pattern}' could be found."


class QuotaTooLow(BadRequest):
    template = "Quota limit {limit} for {resource} must be greater than or equal to already used and reserved {used}."


class QuotaTooHigh(BadRequest):
    template = "Quota limit {limit} for {resource} must be less than or equal to {maximum}."


class UnknownProject(BadRequest):
    template = "Project ID {project_id} is not a valid project."


class EvacuationsNotCompleted(BadRequest):
    template = (
        "Unable to force up host {host} as `done` evacuation migration records remain associated with the host. Ensure "
        "the compute service has been restarted, allowing these records to move to `completed` before retrying this request."
    )


class ZoneInUse(BadRequest):
    template = "Cannot update aggregate {aggregate_id}. Reason: One or more hosts contain instances in this zone."


class ZoneConflict(BadRequest):
    template = (
        "Cannot update aggregate {aggregate_id}. Reason: One or more hosts already in availability zone(s) {zones}."
    )


class HostWithServers(Conflict):
    template = (
        "Cannot add host to aggregate {aggregate_id}. Reason: One or more hosts contain instances in another zone."
    )


class HostStillUsed(Conflict):
    template = (
        "Cannot remove host from aggregate {aggregate_id}. Reason: One or more hosts contain instances in this zone."
    )


class HostNotInAggregate(NotFound):
    template = "Cannot remove host {host} in aggregate {aggregate_id}"
