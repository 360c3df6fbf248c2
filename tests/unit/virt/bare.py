"""A driver with the least that one must have: the fake one without its capabilities."""

from __future__ import annotations

import inspect
from typing import Any

from kilonova.compute.virt.driver import VirtDriver
from kilonova.compute.virt.fake import FakeDriver

KEPT: dict[str, Any] = {
    name: value
    for name, value in vars(FakeDriver).items()
    if not (name.startswith(("__", "_abc_", "_is_protocol")) and name != "__init__")
    and name not in ("console_log", "console", "suspend", "restore", "copy_disk", "trigger_crash_dump", "diagnostics")
    and not inspect.ismemberdescriptor(value)
}
BareDriver: Any = type("BareDriver", (VirtDriver,), KEPT | {"name": "bare"})
