"""How a server's interfaces are plugged here: what their ports' bindings say, and what the driver serves."""

from __future__ import annotations

from collections.abc import Iterable

from kilonova.compute.models import Vif
from kilonova.compute.virt.driver import VirtDriver
from kilonova.compute.virt.vif import VifBinding, binding_of


def plugged(driver: VirtDriver, vif: Vif) -> VifBinding:
    """Raises VifRefused for a port whose binding has failed, is missing, or is of a type that the driver does not serve."""
    return binding_of(vif.port_id, vif.vif_type, vif.details, driver.vif_types)


def must_plug(driver: VirtDriver, vifs: Iterable[Vif]) -> None:
    """Raise VifRefused for the first that can't be plugged here: before disks are made and ports are wired."""
    for vif in vifs:
        plugged(driver, vif)
