"""Tokens of the second version of EC2's metadata service: what asks with one was able to send a PUT by itself, and is no program
that was made to pass on a request. A token is signed, so that nothing has to be kept; it is of one server, for a time."""

from __future__ import annotations

import base64
import hashlib
import hmac

from kilonova.compute.models import Server
from kilonova.core import errors
from kilonova.core.clock import Clock

PATH = "latest/api/token"
TOKEN = "x-aws-ec2-metadata-token"  # noqa: S105 - a header
LIFE = "x-aws-ec2-metadata-token-ttl-seconds"
HOP_LIMIT = "x-aws-ec2-metadata-hop-limit"
LONGEST = 21600
REQUIRED, HOPS = "ec2:http-tokens", "ec2:http-hop-limit"
"""A server's own metadata: whether it answers requests with a token alone (`required`), and how many hops a token may go."""


class MetadataTokens:
    def __init__(self, secret: str, clock: Clock) -> None:
        self._key, self._clock = hashlib.sha256(f"metadata tokens {secret}".encode()).digest(), clock

    def make(self, server: Server, life: str) -> tuple[str, int]:
        """(a token, its life in seconds). Raises BadRequest."""
        if not (life.isascii() and life.isdigit() and len(life) < 6 and 1 <= int(life) <= LONGEST):
            raise errors.BadRequest(f"{LIFE} is a number from 1 to {LONGEST}.")
        ends = int(self._clock.now().timestamp()) + int(life)
        raw = f"{ends} {self._mac(server, ends)}"
        return base64.urlsafe_b64encode(raw.encode()).decode(), int(life)

    def check(self, server: Server, token: str | None) -> None:
        """Raises Unauthorized for a token that is not right, and for none where there must be one."""
        if token is None and server.metadata.get(REQUIRED) != "required":
            return
        try:
            ends, _, mac = base64.urlsafe_b64decode((token or "").encode()).decode().partition(" ")
            right = hmac.compare_digest(mac.encode(), self._mac(server, int(ends)).encode())
        except ValueError:
            right, ends = False, "0"
        if not right or int(ends) < self._clock.now().timestamp():
            raise errors.Unauthorized

    def _mac(self, server: Server, ends: int) -> str:
        return hmac.new(self._key, f"{server.uuid} {ends}".encode(), hashlib.sha256).hexdigest()


def hop_limit(server: Server) -> dict[str, str]:
    hops = server.metadata.get(HOPS, "")
    return {HOP_LIMIT: hops} if hops.isascii() and hops.isdigit() and 1 <= int(hops[:3]) <= 64 else {}
