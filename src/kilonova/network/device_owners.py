"""Owners of ports that belong to the cloud's own services."""

from __future__ import annotations

SERVICES = "network:"
"""What all of them begin with."""
DHCP = "network:dhcp"
INTERFACE = "network:router_interface"
GATEWAY = "network:router_gateway"
FLOATING_IP = "network:floatingip"
OF_ROUTERS = (INTERFACE, GATEWAY)
