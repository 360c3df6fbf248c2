"""What an image store can do. Every method may block and is called from worker threads, so that the event loop never
waits for a disk. Ids are `uuid.UUID`, never text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar
from uuid import UUID

import msgspec


class StoreFull(Exception):
    """There is no room for more data."""


class StoreFailed(Exception):
    """The back end does not answer or refuses; the text is for operators."""


def parse_id(name: str) -> UUID | None:
    """The image that a file or a block image of the store's is named for; None for any other name."""
    try:
        found = UUID(name)
    except ValueError:
        return None
    return found if str(found) == name else None


class StoredImage(msgspec.Struct, frozen=True):
    """Complete data of one image; `size` in bytes."""

    image_id: UUID
    size: int


class Usage(msgspec.Struct, frozen=True):
    """Bytes of the medium."""

    total: int
    free: int


class Upload(ABC):
    """Data that is being uploaded; it can't be read before `commit`. Held by this process until `close`."""

    @abstractmethod
    def start(self) -> None:
        """Take the place. Raises StoreFull. Does nothing after `abort`."""

    @abstractmethod
    def write(self, data: bytes) -> None:
        """Append. Raises StoreFull. Does nothing after `abort`."""

    @abstractmethod
    def commit(self) -> None:
        """Make the data the image's, durable when this returns. Raises StoreFull."""

    @abstractmethod
    def abort(self) -> None:
        """Drop everything written, committed or not; may be repeated and may overlap with a running `write`."""

    @abstractmethod
    def close(self) -> None:
        """Let go of an upload that was committed and recorded."""


class Reader(ABC):
    """Data of one image, readable even while the image is being deleted."""

    size: int

    @abstractmethod
    def read(self, offset: int, length: int) -> bytes:
        """At most `length` bytes; empty at the end, and after `close`."""

    @abstractmethod
    def close(self) -> None: ...


class ImageStore(ABC):
    """A back end for image data. Its methods may raise StoreFailed."""

    name: ClassVar[str]
    clones: ClassVar[bool] = False  # servers' disks and volumes are clones of its raw images

    @abstractmethod
    def prepare(self) -> list[str]:
        """Make the store ready and remove what nothing needs any more, as uploads whose process is gone: the names of these. Is
        called at the start and now and then."""

    @abstractmethod
    def begin(self, image_id: UUID, upload_id: UUID) -> Upload:
        """A new upload; the one method that must not block."""

    @abstractmethod
    def in_progress(self, image_id: UUID, upload_id: UUID) -> bool:
        """Whether a running process (this or another one) holds the upload."""

    @abstractmethod
    def open(self, image_id: UUID) -> Reader | None:
        """The image's data, None when the store has none."""

    @abstractmethod
    def delete(self, image_id: UUID) -> bool:
        """Remove the image's data; False when there was none."""

    @abstractmethod
    def usage(self) -> Usage: ...

    @abstractmethod
    def location(self, image_id: UUID) -> str | None:
        """The URL of the image's data, for those who reach the back end themselves; must not block. None as long as it is not
        known."""

    def close(self) -> None:  # noqa: B027 (most have none)
        """Let go of connections."""

    @abstractmethod
    def images(self) -> Iterator[StoredImage]:
        """All complete images, for `kilonova verify`."""
