"""Images as files: `<folder>/<image id>`, and `<folder>/uploads/<upload id>` on the way in.

An upload's file stays locked (flock) until the upload is recorded or dropped. The kernel frees the lock when its process
dies, so the next process can distinguish leftovers from the uploads of running processes.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import UUID

from kilonova.image.stores.base import ImageStore, Reader, StoredImage, StoreFull, Upload, Usage, parse_id

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            raise StoreFull from error
        raise


def _take(path: Path) -> int | None:
    """The file opened and locked, None when a running process holds it or it is gone."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


def _held(path: Path) -> bool:
    """Whether a running process holds the file."""
    fd = _take(path)
    if fd is not None:
        os.close(fd)
        return False
    return path.exists()


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class FileUpload(Upload):
    def __init__(self, part: Path, target: Path) -> None:
        self._part, self._target = part, target
        self._lock = threading.Lock()  # an aborting task must not close the file under a running write
        self._fd: int | None = None
        self._ended = False

    def start(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        with self._lock, _room():
            if self._ended:
                return
            self._fd = os.open(self._part, flags, 0o600)
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            if os.fstat(self._fd).st_nlink == 0:  # another process's `prepare` came between the two calls
                self._close()
                raise BlockingIOError(errno.EAGAIN, "the upload was removed while it began", str(self._part))

    def write(self, data: bytes) -> None:
        with self._lock, _room():
            if self._fd is None:
                return
            view = memoryview(data)
            while view:
                view = view[os.write(self._fd, view) :]

    def commit(self) -> None:
        with self._lock, _room():
            if self._fd is None:
                return
            os.fsync(self._fd)
            os.rename(self._part, self._target)
            _sync_folder(self._target.parent)

    def abort(self) -> None:
        with self._lock:
            self._ended = True
            if self._fd is None:
                return
            mine = os.fstat(self._fd)
            for path in (self._part, self._target):
                with suppress(FileNotFoundError):
                    if os.path.samestat(path.stat(), mine):
                        path.unlink()
            self._close()

    def close(self) -> None:
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


class FileReader(Reader):
    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._fd: int | None = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        self.size = os.fstat(self._fd).st_size

    def read(self, offset: int, length: int) -> bytes:
        with self._lock:
            return b"" if self._fd is None else os.pread(self._fd, length, offset)

    def close(self) -> None:
        with self._lock:
            if self._fd is not None:
                os.close(self._fd)
                self._fd = None


class FileStore(ImageStore):
    name = "file"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._uploads = folder / "uploads"

    def prepare(self) -> list[str]:
        self._uploads.mkdir(parents=True, exist_ok=True, mode=0o750)
        removed = []
        for path in self._uploads.iterdir():
            fd = _take(path)
            if fd is not None:
                path.unlink(missing_ok=True)
                os.close(fd)
                removed.append(path.name)
        return removed

    def begin(self, image_id: UUID, upload_id: UUID) -> Upload:
        return FileUpload(self._uploads / str(upload_id), self.folder / str(image_id))

    def in_progress(self, image_id: UUID, upload_id: UUID) -> bool:
        return _held(self._uploads / str(upload_id)) or _held(self.folder / str(image_id))

    def open(self, image_id: UUID) -> Reader | None:
        try:
            return FileReader(self.folder / str(image_id))
        except FileNotFoundError:
            return None

    def delete(self, image_id: UUID) -> bool:
        try:
            (self.folder / str(image_id)).unlink()
        except FileNotFoundError:
            return False
        _sync_folder(self.folder)
        return True

    def usage(self) -> Usage:
        found = os.statvfs(self.folder)
        return Usage(total=found.f_blocks * found.f_frsize, free=found.f_bavail * found.f_frsize)

    def location(self, image_id: UUID) -> str | None:
        return (self.folder / str(image_id)).absolute().as_uri()

    def images(self) -> Iterator[StoredImage]:
        for entry in os.scandir(self.folder):
            image_id = parse_id(entry.name)
            if image_id is not None and entry.is_file(follow_symlinks=False):
                yield StoredImage(image_id, entry.stat().st_size)
