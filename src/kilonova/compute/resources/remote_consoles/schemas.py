"""Wire shapes of remote consoles."""

from __future__ import annotations

from typing import Literal

from kilonova.core.web.wire import Body, Version, View

SINCE = {"mks": Version(2, 8), "webmks": Version(2, 8), "spice-direct": Version(2, 99)}
"""Of protocols and types that earlier microversions do not know."""


class Wanted(Body, kw_only=True):
    """`mks` and `webmks` since 2.8, `spice-direct` since 2.99."""

    protocol: Literal["vnc", "spice", "serial", "rdp", "mks"]
    type: Literal["novnc", "xvpvnc", "spice-html5", "serial", "rdp-html5", "webmks", "spice-direct"]


class RemoteConsoleCreate(Body, kw_only=True):
    remote_console: Wanted


class RemoteConsole(View, kw_only=True):
    """`url` is of use once, and for a short time."""

    protocol: str
    type: str
    url: str


class RemoteConsoleBody(View, kw_only=True):
    remote_console: RemoteConsole


class VncConsole(Body, kw_only=True):
    type: Literal["novnc", "xvpvnc"]


class SpiceConsole(Body, kw_only=True):
    type: Literal["spice-html5"]


class SerialConsole(Body, kw_only=True):
    type: Literal["serial"]


class Console(View, kw_only=True):
    type: str
    url: str


class ConsoleBody(View, kw_only=True):
    """Of the actions of earlier microversions."""

    console: Console


class Connection(View, kw_only=True):
    """`host` and `port` are where the server's host relays the console to the proxies, which nothing but a ticket of the
    conductor's opens."""

    instance_uuid: str
    host: str
    port: int
    internal_access_path: None = None


class ConnectionBody(View, kw_only=True):
    console: Connection
