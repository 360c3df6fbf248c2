"""One pool of block images: a connection made at the first use, and what is done with images by their names. Debian's
python3-rados and python3-rbd are loaded then, too, and not before."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from kilonova.core.ceph.options import CephOptions

MISSING = "Python can't load Ceph's modules ({}): apt-get install python3-rbd python3-rados"
IN_USE = "another image is a clone of it, or it is open"


class CephError(Exception):
    """Ceph refused; the text names the step, the image and Ceph's reason."""


class CephAway(CephError):
    """The cluster does not answer, or this user may not use it."""


class CephFull(CephError):
    """No room left in the pool."""


class ImageMissing(CephError):
    """No image or snapshot of this name."""


class ImageBusy(CephError):
    """Something uses the image: a client has it open, or clones depend on it."""


class Parent(NamedTuple):
    """What a clone shares its data with."""

    pool: str
    image: str
    snapshot: str


class Pool:
    """Images of one pool. Safe to use from several threads; `close` lets go of the connection. Sizes are bytes."""

    def __init__(self, options: CephOptions, name: str) -> None:
        self.options, self.name = options, name
        self._lock = threading.Lock()
        self._cluster: Any = None
        self._context: Any = None
        self._kinds: tuple[tuple[tuple[type[Exception], ...], type[CephError]], ...] = ()
        self._rados: Any = None
        self.rbd: Any = None

    # ---- the pool

    def fsid(self) -> str:
        """The cluster's id."""
        with self.step("asking for the cluster's id") as _:
            return str(self._cluster.get_fsid())

    def usage(self) -> tuple[int, int]:
        """(all bytes, free ones) of the cluster; (0, 0) where no manager counts them."""
        with self.step("asking for the room") as _:
            found = self._cluster.get_cluster_stats()
        return found["kb"] * 1024, found["kb_avail"] * 1024

    def names(self) -> list[str]:
        with self.step("listing images") as context:
            return list(self.rbd.RBD().list(context))

    def close(self) -> None:
        with self._lock:
            if self._context is not None:
                self._context.close()
                self._cluster.shutdown()
            self._context = self._cluster = None

    # ---- an image as a whole

    def create(self, name: str, size: int) -> None:
        """An image in which nothing was written; one that is there already stays as it is."""
        with self.step(f"creating image {name}") as context, suppress(self.rbd.ImageExists):
            self.rbd.RBD().create(context, name, size)

    def clone(self, name: str, parent: str, snapshot: str, parent_pool: str = "") -> None:
        """A copy-on-write image of a protected snapshot, in no time; one that is there already stays as it is."""
        with self.step(f"cloning {parent}@{snapshot} to {name}") as context:
            source = self._cluster.open_ioctx(parent_pool or self.name)
            try:
                self.rbd.RBD().clone(source, parent, snapshot, context, name)
            except self.rbd.ImageExists:
                pass
            finally:
                source.close()

    def copy(self, name: str, target: str) -> None:
        """A full copy, made by the cluster; an earlier try's is overwritten."""
        self.remove(target)
        with self.opened(name, read_only=True) as image, self.step(f"copying {name} to {target}") as context:
            image.copy(context, target)

    def rename(self, name: str, new: str) -> None:
        with self.step(f"renaming image {name} to {new}") as context:
            self.rbd.RBD().rename(context, name, new)

    def exists(self, name: str, snapshot: str | None = None) -> bool:
        return self.size(name, snapshot) is not None

    def size(self, name: str, snapshot: str | None = None) -> int | None:
        """None where there is no such image or snapshot."""
        try:
            with self.opened(name, snapshot, read_only=True) as image:
                return int(image.size())
        except ImageMissing:
            return None

    def resize(self, name: str, size: int) -> None:
        """To `size`; clients that have it open are told."""
        with self.opened(name) as image:
            if image.size() != size:
                image.resize(size)

    def grow(self, name: str, size: int) -> None:
        """To `size`, where it is smaller."""
        with self.opened(name) as image:
            if image.size() < size:
                image.resize(size)

    def watchers(self, name: str) -> int:
        """How many clients have it open for writing, or at a snapshot."""
        with self.opened(name, read_only=True) as image:
            return len(list(image.watchers_list()))

    def parent(self, name: str) -> Parent | None:
        """What the image is a clone of."""
        with self.opened(name, read_only=True) as image:
            try:
                return Parent(*image.parent_info())
            except self.rbd.ImageNotFound:
                return None

    def flatten(self, name: str) -> None:
        """Copy what a clone shares with its parent; nothing happens where it has none."""
        if self.parent(name) is not None:
            with self.opened(name) as image:
                image.flatten()

    def remove(self, name: str) -> None:
        """With its snapshots; nothing happens when there is none. Raises ImageBusy, with the image whole, where a client has it
        open or clones depend on it."""
        try:
            with self.opened(name, read_only=True) as image:
                busy = bool(list(image.watchers_list()))
            if busy:
                raise ImageBusy(f"removing image {name}: {IN_USE}")
            for snapshot in self.snapshots(name):
                if self.children(name, snapshot):
                    raise ImageBusy(f"removing image {name}: {IN_USE}")
            for snapshot in self.snapshots(name):
                self.drop_snapshot(name, snapshot)
            with self.step(f"removing image {name}") as context:
                self.rbd.RBD().remove(context, name)
        except ImageMissing:
            return

    # ---- snapshots

    def snapshots(self, name: str) -> list[str]:
        with self.opened(name, read_only=True) as image:
            return [found["name"] for found in image.list_snaps()]

    def snapshot(self, name: str, snapshot: str) -> None:
        """Taken and protected, so that it can be cloned; an earlier one of this name stays."""
        with self.opened(name) as image:
            if snapshot not in [found["name"] for found in image.list_snaps()]:
                image.create_snap(snapshot)
            if not image.is_protected_snap(snapshot):
                image.protect_snap(snapshot)

    def children(self, name: str, snapshot: str) -> list[tuple[str, str]]:
        """(pool, image) of each clone."""
        with self.opened(name, snapshot, read_only=True) as image:
            return [(found["pool"], found["image"]) for found in image.list_children2()]

    def drop_snapshot(self, name: str, snapshot: str) -> None:
        """Nothing happens when there is none. Raises ImageBusy where clones depend on it."""
        with self.opened(name) as image:
            if snapshot in [found["name"] for found in image.list_snaps()]:
                if image.is_protected_snap(snapshot):
                    image.unprotect_snap(snapshot)
                image.remove_snap(snapshot)

    def rollback(self, name: str, snapshot: str) -> None:
        """Make the image what it was; it must not be in use."""
        with self.opened(name) as image:
            image.rollback_to_snap(snapshot)

    # ---- inside

    @contextmanager
    def opened(self, name: str, snapshot: str | None = None, *, read_only: bool = False) -> Iterator[Any]:
        """The image as an `rbd.Image`. Raises ImageMissing."""
        where = f"image {name}@{snapshot}" if snapshot else f"image {name}"
        with self.step(where) as context:
            image = self.rbd.Image(context, name, snapshot=snapshot, read_only=read_only)
            try:
                yield image
            finally:
                image.close()

    @contextmanager
    def step(self, what: str) -> Iterator[Any]:
        """The pool's I/O context, for a block whose errors get our types and `what` in front."""
        with self._lock:
            if self._context is None:
                self._connect()
        try:
            yield self._context
        except CephError:
            raise
        except (self._rados.Error, self.rbd.Error) as error:
            raise self._kind(error)(f"Ceph pool {self.name}: {what}: {error}") from error

    def _kind(self, error: Exception) -> type[CephError]:
        for found, kind in self._kinds:
            if isinstance(error, found):
                return kind
        return CephError

    def _connect(self) -> None:
        try:
            import rados
            import rbd
        except ImportError as error:
            raise CephAway(MISSING.format(error)) from error
        self._rados, self.rbd = rados, rbd
        self._kinds = (
            ((rbd.ImageNotFound, rados.ObjectNotFound), ImageMissing),
            ((rbd.ImageBusy, rbd.ImageHasSnapshots, rados.ObjectBusy), ImageBusy),
            ((rbd.DiskQuotaExceeded, rbd.NoSpace, rados.NoSpace), CephFull),
            (
                (rbd.Timeout, rbd.PermissionError, rados.TimedOut, rados.PermissionError, rados.PermissionDeniedError),
                CephAway,
            ),
        )
        options, seconds = self.options, str(max(1, round(self.options.timeout)))
        words = {"rados_mon_op_timeout": seconds, "rados_osd_op_timeout": seconds, "client_mount_timeout": seconds}
        if options.keyring:
            words["keyring"] = options.keyring
        try:
            cluster = rados.Rados(conffile=str(options.conf), rados_id=options.user, conf=words)
            cluster.connect(timeout=options.timeout)
            self._context, self._cluster = cluster.open_ioctx(self.name), cluster
        except rados.Error as error:
            raise CephAway(f"Ceph pool {self.name}: connecting as {options.user} by {options.conf}: {error}") from error
