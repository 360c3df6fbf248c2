"""Guests that need no operating system: 512 bytes of 16-bit code on a 1 MiB disk (the least SeaBIOS boots from virtio)."""

from __future__ import annotations

from pathlib import Path

GREETING = b"guest up"

# cli; ds=0; write each character of the greeting to the serial port 0x3f8
_HEAD = "fa31c08ed8be{text}7cbaf803ac84c07403eeebf8"
_HALT = "f4ebfd"
# enable the power button (PM1_EN), poll its bit (PM1_STS), then soft off (PM1_CNT): ACPI as q35 has it
_WAIT_FOR_BUTTON = "ba0206b80001efba0006edf6c40174faba0406b80020ef"


def boot_sector(*, obeys_acpi: bool) -> bytes:
    """Greets on the serial port, then sleeps; one that obeys ACPI powers itself off when its power button is pressed."""
    body = (_WAIT_FOR_BUTTON if obeys_acpi else "") + _HALT
    text = (len(_HEAD.format(text="00")) + len(body)) // 2
    code = bytes.fromhex(_HEAD.format(text=f"{text:02x}") + body) + GREETING + b"\r\n\0"
    return code.ljust(510, b"\0") + b"\x55\xaa"


def boot_disk(path: Path, *, obeys_acpi: bool) -> Path:
    """A raw disk image at `path` with such a boot sector."""
    path.write_bytes(boot_sector(obeys_acpi=obeys_acpi).ljust(1 << 20, b"\0"))
    return path
