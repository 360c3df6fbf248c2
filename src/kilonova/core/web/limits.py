"""What clients may take of a server before it knows them: apart from it, so that settings load no HTTP."""

from __future__ import annotations

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Connections that are open at once, and times in seconds; see `ServeSettings`."""

    connections: int = 8192
    connections_per_address: int = 2048
    head_timeout: float = 10.0
    body_timeout: float = 30.0
