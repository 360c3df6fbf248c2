"""Names of a server's disks: the root disk is vda, those of the host follow, then its volumes. The last letter is the config
drive's."""

from __future__ import annotations

from collections.abc import Collection
from string import ascii_lowercase

from kilonova.compute.models import RequestSpec

ROOT, PREFIX = "vda", "vd"
CONFIG_DRIVE = PREFIX + ascii_lowercase[-1]
NAMES = tuple(PREFIX + letter for letter in ascii_lowercase[:-1])
"""Of all disks but the config drive, in their order."""
MOST = len(NAMES)


def free_name(taken: Collection[str]) -> str | None:
    """The first that no disk has; None when all are taken."""
    return next((name for name in NAMES if name not in taken), None)


def bare(name: str | None) -> str:
    return (name or "").removeprefix("/dev/")


def local_disks(spec: RequestSpec) -> int:
    """How many of a server's disks come before its volumes: the root disk, wherever it is, ephemeral disks and swap."""
    ephemerals = int(spec.flavor.ephemeral_gb > 0) if spec.ephemerals is None else len(spec.ephemerals)
    return 1 + ephemerals + bool(spec.flavor.swap_mb if spec.swap_mb is None else spec.swap_mb)
