"""Refusals of floating IPs. Class names are what clients see as the error's type: they are upstream's."""

from __future__ import annotations

from kilonova.core import errors


class FloatingIPNotFound(errors.NotFound):
    template = "Floating IP {id} could not be found"


class ExternalGatewayForFloatingIPNotFound(errors.NotFound):
    template = (
        "External network {network_id} is not reachable from subnet {subnet_id}.  Therefore, cannot associate Port "
        "{port_id} with a Floating IP."
    )


class FloatingIPPortAlreadyAssociated(errors.Conflict):
    template = (
        "Cannot associate floating IP {ip_address} ({id}) with port {port_id} using fixed IP {fixed_ip}, as that fixed IP "
        "already has a floating IP on external network {network_id}."
    )


class FipInUseByPortForwarding(errors.Conflict):
    template = "Floating IP {id} in use by Port Forwarding resources."


class ExternalIpAddressExhausted(errors.BadRequest):
    template = "Unable to find any IP address on external network {network_id}."
