"""Where browsers and other clients find a console that they were given."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit

import msgspec

from kilonova.compute.console_options import ConsoleOptions

VNC_PAGE, SERIAL = "/vnc_lite.html", "/serial"
"""Below the proxy's URL. The latter is a page, and a WebSocket."""


class ConsoleUrls(msgspec.Struct, frozen=True):
    """`base` is the URL of the console proxies, as clients reach them; "" where there are none."""

    base: str = ""
    options: ConsoleOptions = msgspec.field(default_factory=ConsoleOptions)

    def of(self, kind: str, token: str) -> str:
        """With vnc, the page gets the token as noVNC's: in the path of the WebSocket that it is to open."""
        if kind == "vnc":
            path = f"{urlsplit(self.base).path.lstrip('/')}/?token={token}"
            return f"{self.base}{VNC_PAGE}?{urlencode({'path': path})}"
        root = self.base if self.options.serial_page else f"ws{self.base.removeprefix('http')}"
        return f"{root}{SERIAL}?token={token}"
