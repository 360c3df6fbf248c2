"""Settings of remote consoles: of the compute API, which hands them out, and of the console proxies."""

from __future__ import annotations

import re
from typing import Annotated

import msgspec

from kilonova.core.config import doc

ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-fA-F:]+\](:[0-9]{1,5})?")


class ConsoleOptions(msgspec.Struct, frozen=True, kw_only=True):
    token_lifetime: Annotated[float, doc("Seconds in which a console's URL must be used.", gt=0)] = 600.0
    allowed_origins: Annotated[
        tuple[str, ...],
        doc(
            "Origins of pages beside the proxy's own that may use consoles, and have them in frames: https://HOST[:PORT]."
        ),
    ] = ()
    serial_page: Annotated[
        bool,
        doc(
            "Whether the URL of a serial console is that of a page for browsers; else of its WebSocket, as upstream's."
        ),
    ] = False
    session_timeout: Annotated[float, doc("Seconds after which an open console is closed; 0: never.", ge=0)] = 0.0
    connections: Annotated[int, doc("Consoles that are open at once through one proxy.", ge=1)] = 500

    def __post_init__(self) -> None:
        for origin in self.allowed_origins:
            if not ORIGIN.fullmatch(origin):
                raise ValueError(f"allowed_origins: {origin!r} is not https://HOST[:PORT], nor http://…")
