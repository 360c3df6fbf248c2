"""Ceph's block images (RBD), as several services use them; all methods block."""

from kilonova.core.ceph import qemu
from kilonova.core.ceph.options import CephOptions, NoKey, key_of
from kilonova.core.ceph.pool import CephAway, CephError, CephFull, ImageBusy, ImageMissing, Parent, Pool

__all__ = [
    "CephAway", "CephError", "CephFull", "CephOptions", "ImageBusy", "ImageMissing", "NoKey", "Parent", "Pool", "key_of", "qemu",
]  # fmt: skip
