"""Images as block images of a Ceph pool: `<image id>` with the protected snapshot `snap`, which servers' disks and volumes are
cloned from; `upload.<upload id>` on the way in; `deleted.<image id>` what clones or readers still need.

An upload keeps its image open, and the cluster knows of clients that have an image open (watchers). It forgets a killed client
after its `osd_client_watch_timeout`, 30 s.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from uuid import UUID

from kilonova.core.ceph import CephError, CephFull, CephOptions, ImageBusy, ImageMissing, Pool
from kilonova.image.stores.base import ImageStore, Reader, StoredImage, StoreFailed, StoreFull, Upload, Usage, parse_id

SNAPSHOT = "snap"
UPLOAD, DELETED = "upload.", "deleted."
FIRST_SIZE = 64 << 20
UNKNOWN = 1 << 62
TRIES = 3


class RbdUpload(Upload):
    def __init__(self, pool: Pool, part: str, target: str) -> None:
        self._pool, self._part, self._target = pool, part, target
        self._lock = threading.Lock()  # an aborting task must not close the image under a running write
        self._opened: Any = None
        self._image: Any = None
        self._id = ""
        self._written = self._size = 0
        self._ended = False

    def start(self) -> None:
        with self._lock, _failures():
            for left in reversed(range(TRIES)):
                if self._ended:
                    return
                self._pool.create(self._part, FIRST_SIZE)
                try:
                    self._opened = self._pool.opened(self._part)
                    self._image = self._opened.__enter__()
                except ImageMissing:  # another process's `prepare` came between the two calls
                    if not left:
                        raise
                else:
                    break
            self._size, self._id = FIRST_SIZE, self._image.id()

    def write(self, data: bytes) -> None:
        with self._lock, _failures():
            if self._image is None:
                return
            end = self._written + len(data)
            with self._pool.step(f"writing {self._part}"):
                if end > self._size:
                    self._size = max(end, 2 * self._size)
                    self._image.resize(self._size)
                if data.count(0) != len(data):  # what was never written reads as zeros
                    self._image.write(data, self._written)
            self._written = end

    def commit(self) -> None:
        with self._lock, _failures():
            if self._image is None:
                return
            with self._pool.step(f"completing {self._target}"):
                self._image.resize(self._written)
                self._image.flush()
                self._image.create_snap(SNAPSHOT)
                self._image.protect_snap(SNAPSHOT)
            self._pool.rename(self._part, self._target)

    def abort(self) -> None:
        with self._lock, _failures():
            self._ended = True
            if self._image is None:
                return
            self._close()
            for name in (self._part, self._target):
                with suppress(ImageMissing, ImageBusy):
                    with self._pool.opened(name, read_only=True) as found:
                        mine = found.id() == self._id
                    if mine:
                        self._pool.remove(name)

    def close(self) -> None:
        with self._lock, _failures():
            self._close()

    def _close(self) -> None:
        if self._opened is not None:
            self._opened.__exit__(None, None, None)
        self._opened = self._image = None


class RbdReader(Reader):
    """Open at the snapshot, which makes it a watcher: the image is not removed under it."""

    def __init__(self, pool: Pool, name: str) -> None:
        self._lock = threading.Lock()
        self._pool, self._name = pool, name
        self._opened: Any = pool.opened(name, SNAPSHOT)
        self._image: Any = self._opened.__enter__()
        self.size = self._image.size()

    def read(self, offset: int, length: int) -> bytes:
        with self._lock, _failures():
            if self._image is None or offset >= self.size:
                return b""
            with self._pool.step(f"reading {self._name}"):
                return bytes(self._image.read(offset, min(length, self.size - offset)))

    def close(self) -> None:
        with self._lock, _failures():
            if self._opened is not None:
                self._opened.__exit__(None, None, None)
            self._opened = self._image = None


class RbdStore(ImageStore):
    name = "rbd"
    clones = True

    def __init__(self, options: CephOptions) -> None:
        self._pool = Pool(options, options.image_pool)
        self._fsid = ""

    def prepare(self) -> list[str]:
        removed = []
        with _failures():
            self._fsid = self._pool.fsid()
            for name in self._pool.names():
                if name.startswith((UPLOAD, DELETED)) and self._removed(name) and name.startswith(UPLOAD):
                    removed.append(name.removeprefix(UPLOAD))
        return removed

    def _removed(self, name: str) -> bool:
        try:
            self._pool.remove(name)
        except ImageBusy:
            return False
        return True

    def begin(self, image_id: UUID, upload_id: UUID) -> Upload:
        return RbdUpload(self._pool, f"{UPLOAD}{upload_id}", str(image_id))

    def in_progress(self, image_id: UUID, upload_id: UUID) -> bool:
        with _failures():
            for name in (f"{UPLOAD}{upload_id}", str(image_id)):
                with suppress(ImageMissing):
                    if self._pool.watchers(name):
                        return True
        return False

    def open(self, image_id: UUID) -> Reader | None:
        with _failures():
            try:
                return RbdReader(self._pool, str(image_id))
            except ImageMissing:
                return None

    def delete(self, image_id: UUID) -> bool:
        name = f"{DELETED}{image_id}"
        with _failures():
            try:
                self._pool.rename(str(image_id), name)
            except ImageMissing:
                self._removed(name)
                return False
            self._removed(name)
        return True

    def usage(self) -> Usage:
        with _failures():
            total, free = self._pool.usage()
        return Usage(total=total, free=free) if total else Usage(total=UNKNOWN, free=UNKNOWN)

    def images(self) -> Iterator[StoredImage]:
        with _failures():
            for name in self._pool.names():
                image_id = parse_id(name)
                size = self._pool.size(name, SNAPSHOT) if image_id is not None else None
                if image_id is not None and size is not None:
                    yield StoredImage(image_id, size)

    def location(self, image_id: UUID) -> str | None:
        return f"rbd://{self._fsid}/{self._pool.name}/{image_id}/{SNAPSHOT}" if self._fsid else None

    def close(self) -> None:
        self._pool.close()


class _failures:
    """Ceph's errors as a store's."""

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, CephFull):
            raise StoreFull from error
        if isinstance(error, CephError):
            raise StoreFailed(str(error)) from error
