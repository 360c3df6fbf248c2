"""Grants: what a compute host's account may do for one server, signed by the control plane and handed out with the build.

All hosts share one account with the role `service`, which by itself may read and change nothing of users'. A grant names a
server, the host it is on, and the images, networks and ports that go with it; services look at it beside the token (header
`X-Kilonova-Grant`). It is no secret from the host, and of no use for any other server."""

from __future__ import annotations

import base64
import hashlib
import hmac

import msgspec

HEADER = "x-kilonova-grant"
LIFE = 3600.0  # seconds for which something new may be asked for; a build that waits longer than that is given up
MAC = 32  # bytes
BUILD, METADATA = "build", "metadata"


class Grant(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`images` may be read, `fills` may be given their data. `made` are ids of ports that compute makes for the server, `given`
    of the user's; `hosts` are those that its ports may be bound to: its own, and the one it comes from. `use` is
    what for: BUILD, or METADATA, to pass on the server's requests for metadata and nothing else. `until` is in epoch
    seconds: afterwards only what is bound to the hosts may be let go of, and no image be read or filled."""

    server: str
    host: str
    project: str
    images: tuple[str, ...] = ()
    fills: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    made: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    use: str = BUILD
    until: float = 0.0
    fresh: bool = True


class Grants:
    """Signs and verifies with a secret that only the control plane has; without one there are no grants."""

    def __init__(self, secret: str = "") -> None:
        self._key = hashlib.sha256(b"kilonova grants " + secret.encode()).digest() if secret else b""

    def sign(self, grant: Grant) -> str:
        """ "" without a secret."""
        if not self._key:
            return ""
        body = msgspec.msgpack.encode(grant)
        return base64.urlsafe_b64encode(self._mac(body) + body).decode()

    def read(self, text: str, now: float, use: str = BUILD) -> Grant | None:
        """The grant, `fresh` or not at `now` (epoch seconds); None for what was not signed with our secret,
        or for another use."""
        if not self._key:
            return None
        try:
            data = base64.urlsafe_b64decode(text)
        except ValueError:
            return None
        given, body = data[:MAC], data[MAC:]
        if not hmac.compare_digest(given, self._mac(body)):
            return None
        grant = msgspec.msgpack.decode(body, type=Grant)
        return msgspec.structs.replace(grant, fresh=now < grant.until) if grant.use == use else None

    def _mac(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, "sha256")
