"""The network service's refusals. Class names are what clients see as the error's type: they are upstream's."""

from __future__ import annotations

from kilonova.core.errors import BadRequest, Conflict, KilonovaError, NotFound, ServiceUnavailable


class HTTPBadRequest(BadRequest):
    template = "{reason}"


class Invalid(BadRequest):
    template = "{reason}"


class InvalidInput(BadRequest):
    template = "Invalid input for operation: {reason}."


class NetworkNotFound(NotFound):
    template = "Network {id} could not be found."


class SubnetNotFound(NotFound):
    template = "Subnet {id} could not be found."


class PortNotFound(NotFound):
    template = "Port {id} could not be found."


class SecurityGroupNotFound(NotFound):
    template = "Security group {id} does not exist"


class SecurityGroupRuleNotFound(NotFound):
    template = "Security group rule {id} does not exist"


class AgentNotFound(NotFound):
    template = "Agent {id} could not be found."


class TagNotFound(NotFound):
    template = "Tag {tag} could not be found."


class ExtensionNotFound(NotFound):
    template = "Extension with alias {alias} does not exist"


class TenantQuotaNotFound(NotFound):
    template = "Quota for project {project_id} could not be found."


class FlatNetworkInUse(Conflict):
    template = "Unable to create the flat network. Physical network {physical_network} is in use."


class TunnelIdInUse(Conflict):
    template = "Unable to create the network. The tunnel ID {tunnel_id} is in use."


class NoNetworkAvailable(ServiceUnavailable):
    template = "Unable to create the network. No tenant network is available for allocation."


class NetworkInUse(Conflict):
    template = (
        "Unable to complete operation on network {id}. There are one or more ports still in use on the network, "
        "id for these ports is: {ports}."
    )


class DefaultExternalNetworkExists(Conflict):
    template = "A default external network already exists: {id}."


class InvalidSharedSetting(Conflict):
    template = "Unable to reconfigure sharing settings for network {id}. Multiple projects are using it."


class SubnetInUse(Conflict):
    template = "Unable to complete operation on subnet {id}: One or more ports have an IP allocation from this subnet."


class NetworkMTUSubnetConflict(Conflict):
    template = "MTU of {id} is not valid, subnet requires a minimum of {mtu}"


class GatewayIpInUse(Conflict):
    template = "Current gateway ip {ip_address} already in use by port {port_id}. Unable to update."


class GatewayConflictWithAllocationPools(Conflict):
    template = "Gateway ip {ip_address} conflicts with allocation pool {pool}."


class InvalidAllocationPool(BadRequest):
    template = "The allocation pool {pool} is not valid."


class OverlappingAllocationPools(Conflict):
    template = "Found overlapping allocation pools: {pool_1} {pool_2} for subnet {cidr}."


class OutOfBoundsAllocationPool(BadRequest):
    template = "The allocation pool {pool} spans beyond the subnet cidr {cidr}."


class HostRoutesExhausted(BadRequest):
    template = "Unable to complete operation for {id}. The number of host routes exceeds the limit {quota}."


class DNSNameServersExhausted(BadRequest):
    template = "Unable to complete operation for {id}. The number of DNS nameservers exceeds the limit {quota}."


class MacAddressInUse(Conflict):
    template = "Unable to complete operation for network {network_id}. The mac address {mac} is in use."


class IpAddressInUse(Conflict):
    template = "Unable to complete operation for network {network_id}. The IP address {ip_address} is in use."


class IpAddressGenerationFailure(Conflict):
    template = "No more IP addresses available on network {network_id}."


class IpAddressGenerationFailureNoMatchingSubnet(IpAddressGenerationFailure):
    template = "No valid service subnet for the given device owner, network {network_id}, service type {service_type}."


class InvalidSubnetServiceType(InvalidInput):
    template = "Subnet service type {service_type} does not correspond to a valid device owner."


class InvalidIpForNetwork(BadRequest):
    template = "IP address {ip_address} is not a valid IP for any of the subnets on the specified network."


class InvalidIpForSubnet(BadRequest):
    template = "IP address {ip_address} is not a valid IP for the specified subnet."


class AllocationOnAutoAddressSubnet(InvalidInput):
    template = (
        "IPv6 address {ip} cannot be directly assigned to a port on subnet {subnet_id} as the subnet is configured for "
        "automatic addresses"
    )


class PortIdInUse(Conflict):
    template = "Port id {id} is taken by another port."


class PortBound(Conflict):
    template = (
        "Unable to complete operation on port {id}, port is already bound, port type: {vif_type}, "
        "old_mac {old_mac}, new_mac {new_mac}."
    )


class PortSecurityPortHasSecurityGroup(Conflict):
    template = "Port has security group associated. Cannot disable port security or IP address until security group is removed."


class PortSecurityAndIPRequiredForSecurityGroups(BadRequest):
    template = "Port security must be enabled and port must have an IP address in order to use security groups."


class AddressPairAndPortSecurityRequired(Conflict):
    template = "Port Security must be enabled in order to have allowed address pairs on a port."


class DuplicateAddressPairInRequest(BadRequest):
    template = "Request contains duplicate address pair: mac_address {mac_address} ip_address {ip_address}."


class AllowedAddressPairExhausted(BadRequest):
    template = "The number of allowed address pair exceeds the maximum {quota}."


class SecurityGroupDefaultAlreadyExists(Conflict):
    template = "Default security group already exists."


class SecurityGroupCannotRemoveDefault(Conflict):
    template = "Insufficient rights for removing default security group."


class SecurityGroupCannotUpdateDefault(Conflict):
    template = "Updating default security group not allowed."


class AvailabilityZoneNotFound(NotFound):
    template = "AvailabilityZone {availability_zone} could not be found."


class SecurityGroupConflict(Conflict):
    template = "Error {reason} while attempting the operation."


class SecurityGroupInUse(Conflict):
    template = "Security Group {id} in use."


class SecurityGroupRuleExists(Conflict):
    template = "Security group rule already exists. Rule id is {rule_id}."


class DuplicateSecurityGroupRuleInPost(Conflict):
    template = "Duplicate Security Group Rule in POST."


class SecurityGroupRuleInvalidProtocol(BadRequest):
    template = (
        "Security group rule protocol {protocol} not supported. Only protocol values {values} and integer "
        "representations [0 to 255] are supported."
    )


class SecurityGroupRuleInvalidEtherType(BadRequest):
    template = "Security group rule for ethertype '{ethertype}' not supported. Allowed values are ['IPv4', 'IPv6']."


class SecurityGroupInvalidPortRange(BadRequest):
    template = "For TCP/UDP protocols, port_range_min must be <= port_range_max"


class SecurityGroupInvalidPortValue(BadRequest):
    template = "Invalid value for port {port}"


class SecurityGroupInvalidProtocolForPort(BadRequest):
    template = (
        "Ports cannot be specified for protocol {protocol}. Ports are only supported for dccp, sctp, tcp, udp, udplite."
    )


class SecurityGroupProtocolRequiredWithPorts(BadRequest):
    template = "Must also specify protocol if port range is given."


class SecurityGroupInvalidIcmpValue(BadRequest):
    template = "Invalid value for ICMP {field} ({attribute}) {value}. It must be 0 to 255."


class SecurityGroupMissingIcmpType(BadRequest):
    template = "ICMP code (port-range-max) {value} is provided but ICMP type (port-range-min) is missing."


class SecurityGroupEthertypeConflictWithProtocol(BadRequest):
    template = "Invalid ethertype {ethertype} for protocol {protocol}."


class SecurityGroupRuleParameterConflict(BadRequest):
    template = "Conflicting value ethertype {ethertype} for CIDR {cidr}"


class SecurityGroupMultipleRemoteEntites(BadRequest):  # upstream's spelling, clients see it
    template = "Only one of remote_ip_prefix or remote_group_id or remote_address_group_id may be provided."


class InvalidCIDR(BadRequest):
    template = "Invalid CIDR {cidr} given as IP prefix."


class OverQuota(Conflict):
    template = "Quota exceeded for resources: {overs}."


class PlugFailed(KilonovaError):
    """The host's data plane could not be made ready for the ports; a call over the bus carries it to compute."""

    template = "host {host}: {reason}"


class PortNotOnHost(Conflict):
    template = "port {id} is not bound to host {host}"
