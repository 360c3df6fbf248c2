"""A driver with the least that one must have: the fake one without its capabilities."""

from __future__ import annotations

import inspect
from typing import Any

from kilonova.compute.virt.driver import VirtDriver
from kilonova.compute.virt.fake import FakeDriver

CAPABLE: set[str] = {
    name
    for base in FakeDriver.__bases__
    if not issubclass(base, VirtDriver)
    for name in getattr(base, "__abstractmethods__", ())
}
"""Methods of the fake driver's capabilities."""
KEPT: dict[str, Any] = {
    name: value
    for name, value in vars(FakeDriver).items()
    if not (name.startswith(("__", "_abc_", "_is_protocol")) and name != "__init__")
    and name not in CAPABLE
    and not inspect.ismemberdescriptor(value)
}
BareDriver: Any = type("BareDriver", (VirtDriver,), KEPT | {"name": "bare"})
