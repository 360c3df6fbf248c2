"""What every cache does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence


class Cache(ABC):
    """Bytes by name, each for its time to live. A cache is never required: what it lost, can't reach or can't verify is
    missing, and no method raises. Names are any text."""

    shared = False  # whether other processes see what is set here

    @abstractmethod
    async def get_many(self, names: Sequence[str]) -> dict[str, bytes]:
        """Those that are there, read after the call began."""

    @abstractmethod
    async def set(self, name: str, value: bytes, ttl: float) -> None:
        """`ttl` in seconds, rounded up to whole ones where the cache knows no parts of them."""

    @abstractmethod
    async def delete(self, name: str) -> None: ...

    async def get(self, name: str) -> bytes | None:
        return (await self.get_many([name])).get(name)

    def reachable(self, name: str) -> bool:
        """False while the server of this name does not answer and is not used: then a miss means nothing."""
        return True

    async def close(self) -> None:
        """Nothing may be asked afterwards."""
        return
