"""Programs of the kernel's own machine (eBPF) at devices, for what no other tool of a plain kernel does: take a VLAN tag off a
frame, or put one on, and hand it to another device. They need CONFIG_BPF_SYSCALL and CONFIG_NET_CLS_BPF, but no VLAN devices
(8021q). Blocking."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import socket
import struct
from collections.abc import Iterator

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

PROG_LOAD, SCHED_CLS = 5, 3  # command and type of bpf(2)
NUMBERS = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "ppc64le": 361, "s390x": 351}  # of bpf(2)
INGRESS = "ffff:fff2"  # where clsact takes what comes in
VLAN_PRESENT, VLAN_TCI = 20, 24  # fields of struct __sk_buff
PUSH, POP, REDIRECT = 18, 19, 23  # helpers
GO_ON = -1  # TC_ACT_UNSPEC: the next filter
TAG = 0x0FFF  # the part of the field that is the number
VLAN_PROTOCOL = socket.htons(0x8100)


def _step(code: int, to: int = 0, of: int = 0, skip: int = 0, value: int = 0) -> bytes:
    return struct.pack("<BBhi", code, of << 4 | to, skip, value)


def _set(register: int, value: int) -> bytes:
    return _step(0xB7, register, value=value)


def _copy(register: int, of: int) -> bytes:
    return _step(0xBF, register, of)


def _field(register: int, of: int, offset: int) -> bytes:
    return _step(0x61, register, of, offset)


def _call(helper: int) -> bytes:
    return _step(0x85, value=helper)


END = _step(0x95)


def untag(vlan: int, device: int) -> tuple[bytes, ...]:
    """Frames with this tag lose it and leave by `device`; others go on."""
    return (
        _copy(6, 1), _field(2, 6, VLAN_PRESENT), _step(0x15, 2, skip=9),  # none: to the last two
        _field(2, 6, VLAN_TCI), _step(0x57, 2, value=TAG), _step(0x55, 2, skip=6, value=vlan),  # another one: likewise
        _copy(1, 6), _call(POP), _set(1, device), _set(2, 0), _call(REDIRECT), END,
        _set(0, GO_ON), END,
    )  # fmt: skip


def tag(vlan: int, device: int) -> tuple[bytes, ...]:
    """All frames get this tag and leave by `device`."""
    return (
        _copy(6, 1), _set(2, VLAN_PROTOCOL), _set(3, vlan), _call(PUSH), _set(1, device), _set(2, 0), _call(REDIRECT), END,
    )  # fmt: skip


@contextlib.contextmanager
def loaded(steps: tuple[bytes, ...]) -> Iterator[int]:
    """The program's descriptor. Raises OSError where the kernel does not take it."""
    code, license = ctypes.create_string_buffer(b"".join(steps)), ctypes.create_string_buffer(b"Apache-2.0")
    words = struct.pack("<IIQQ", SCHED_CLS, len(steps), ctypes.addressof(code), ctypes.addressof(license))
    number = NUMBERS.get(os.uname().machine)
    if number is None:
        raise OSError(errno.ENOSYS, f"no number of bpf(2) is known on {os.uname().machine}")
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.syscall(number, PROG_LOAD, ctypes.create_string_buffer(words, 128), 128)
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def at_ingress(ip: IPRoute, device: int, steps: tuple[bytes, ...], *, priority: int) -> None:
    """What comes in at the device goes through the program, which takes the place of the one with this priority. Raises
    OSError or NetlinkError."""
    with loaded(steps) as program:
        try:
            ip.tc("add", "clsact", device)
        except NetlinkError as why:
            if why.code != errno.EEXIST:
                raise
        ip.tc(
            "replace-filter", "bpf", device, 1, fd=program, name="kilonova", parent=INGRESS, prio=priority, classid=1,
            direct_action=True,
        )  # fmt: skip


def clear_ingress(ip: IPRoute, device: int, *, priority: int) -> None:
    """Nothing happens where there is none."""
    with contextlib.suppress(NetlinkError):
        ip.tc("del-filter", "bpf", device, 1, parent=INGRESS, prio=priority)
