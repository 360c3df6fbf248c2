"""Refusals that concern servers, with upstream's wording and codes."""

from __future__ import annotations

from kilonova.core.errors import BadRequest, Conflict, Forbidden, NotFound


class ServerNotFound(NotFound):
    template = "Instance {server_id} could not be found."


class UnknownFlavor(BadRequest):
    template = "Flavor {flavor_id} could not be found."


class UnknownKeyPair(BadRequest):
    template = "Invalid key_name provided."


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


class InvalidUserData(BadRequest):
    template = "User data needs to be valid base 64."


class UnknownServerGroup(BadRequest):
    template = "Instance group {group_id} could not be found."


class UnknownComputeHost(BadRequest):
    template = "Compute host {host} could not be found."


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


class RootDeviceName(BadRequest):
    template = "The volume cannot be assigned the same device name as the root device {name}"


class BlockDeviceSize(BadRequest):
    template = "{details}"


class InvalidDiskBus(BadRequest):
    template = "Block Device Mapping is invalid: The provided disk bus {disk_bus} is not valid."


class EphemeralTooLarge(BadRequest):
    template = (
        "Ephemeral disks requested are larger than the instance type allows. If no size is given in one block device "
        "mapping, flavor ephemeral size will be used."
    )


class SwapTooLarge(BadRequest):
    template = "Swap drive requested is larger than instance type allows."


class TooManyLocalDisks(BadRequest):
    template = "Block Device Mapping is Invalid: You specified more local devices than the limit allows"


class VolumesForManyServers(BadRequest):
    template = "Cannot attach one or more volumes to multiple instances"


class VolumeNotBootable(BadRequest):
    template = "Block Device {volume_id} is not bootable."


class InvalidVolume(BadRequest):
    template = "Invalid volume: {reason}"


class MultiattachNeedsNewerVersion(BadRequest):
    template = "Multiattach volumes are only supported starting with compute API version 2.60."


class VolumeSmallerThanMinDisk(BadRequest):
    template = (
        "Volume is smaller than the minimum size specified in image metadata. Volume size is {volume_size} bytes, minimum "
        "size is {min_disk} bytes."
    )


class UnknownVolumeType(BadRequest):
    template = "Volume type {volume_type} could not be found."


class TooManyDisks(Forbidden):
    template = "The maximum allowed number of disk devices ({most}) to attach to a single instance has been exceeded."
