"""Refusals of port forwardings. Class names are what clients see as the error's type: they are upstream's."""

from __future__ import annotations

from kilonova.core import errors


class PortForwardingNotFound(errors.NotFound):
    template = "Port Forwarding {id} could not be found."


class PortHasBindingFloatingIP(errors.Conflict):
    template = (
        "Cannot create port forwarding to floating IP {ip_address} ({id}) with port {port_id} using fixed IP {fixed_ip}, as "
        "that port already has a binding floating IP."
    )
