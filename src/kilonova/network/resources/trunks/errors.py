"""Refusals of trunks. Class names are what clients see as the error's type: they are upstream's, but for the last."""

from __future__ import annotations

from kilonova.core import errors


class TrunkNotFound(errors.NotFound):
    template = "Trunk {id} could not be found."


class TrunkPortInUse(errors.Conflict):
    template = "Port {port_id} is in use by another trunk."


class ParentPortInUse(errors.Conflict):
    template = "Port {port_id} is currently in use and is not eligible for use as a parent port."


class SubPortNotFound(errors.NotFound):
    template = "SubPort {port_id} on trunk {id} could not be found."


class DuplicateSubPort(errors.Conflict):
    template = "segmentation_type vlan and segmentation_id {vlan} already in use on trunk {id}."


class SubPortMtuGreaterThanTrunkPortMtu(errors.Conflict):
    template = "MTU {mtu} of subport {port_id} cannot be greater than MTU {trunk_mtu} of trunk {id}."


class TrunkDisabled(errors.Conflict):
    template = "Trunk {id} is currently disabled."


class PortInUseAsTrunkParent(errors.Conflict):
    template = "Port {port_id} is currently a parent port for trunk {id}."


class PortInUseAsSubPort(errors.Conflict):
    template = "Port {port_id} is currently a subport for trunk {id}."


class NoHostMakesTrunks(errors.Conflict):
    template = (
        "A trunk cannot be made: the network agent of no host that is alive makes trunks. `trunks` in an agent's "
        "configurations tells whether it does; its kernel needs CONFIG_NET_CLS_BPF."
    )
