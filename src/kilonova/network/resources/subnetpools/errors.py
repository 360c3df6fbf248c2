"""Refusals of subnet pools. Class names are what clients see as the error's type: they are upstream's."""

from __future__ import annotations

from kilonova.core import errors


class SubnetPoolNotFound(errors.NotFound):
    template = "Subnet pool {id} could not be found."


class EmptySubnetPoolPrefixList(errors.BadRequest):
    template = "Empty subnet pool prefix list."


class PrefixVersionMismatch(errors.BadRequest):
    template = "Cannot mix IPv4 and IPv6 prefixes in a subnet pool."


class IllegalSubnetPoolPrefixBounds(errors.BadRequest):
    template = "Illegal prefix bounds: {name}={value}, {bound}={limit}."


class IllegalSubnetPoolPrefixUpdate(errors.BadRequest):
    template = "Illegal update to prefixes: {reason}."


class IllegalSubnetPoolIpVersionAssociationToAddressScope(errors.BadRequest):
    template = (
        "Illegal subnetpool association: subnetpool {id} cannot associate with address scope {scope_id} because subnetpool "
        "ip_version is not {ip_version}."
    )


class IllegalSubnetPoolUpdate(errors.BadRequest):
    template = "Illegal subnetpool update : {reason}."


class NotAuthorized(errors.Forbidden):
    template = "Not authorized."


class SubnetPoolDeleteError(errors.BadRequest):
    template = "Unable to delete subnet pool: {reason}."


class MinPrefixSubnetAllocationError(errors.BadRequest):
    template = "Unable to allocate subnet with prefix length {prefixlen}, minimum allowed prefix is {least}."


class MaxPrefixSubnetAllocationError(errors.BadRequest):
    template = "Unable to allocate subnet with prefix length {prefixlen}, maximum allowed prefix is {most}."


class SubnetAllocationError(errors.Conflict):
    template = "Failed to allocate subnet: {reason}."


class SubnetPoolQuotaExceeded(errors.Conflict):
    template = "Per-project subnet pool prefix quota exceeded."


class NetworkSubnetPoolAffinityError(errors.BadRequest):
    template = "Subnets hosted on the same network must be allocated from the same subnet pool."
