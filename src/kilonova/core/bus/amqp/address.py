"""What a bus URL says: brokers, credentials, options.

amqps://user:password@rabbit-1,rabbit-2:5671/vhost?cafile=/etc/kilonova/ca.pem&open_timeout=60
"""

from __future__ import annotations

import os
import socket
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import msgspec

LIBRARY = {"cafile", "capath", "certfile", "keyfile", "auth", "heartbeat", "name"}
"""Options that the AMQP library reads from the URL itself."""


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """`urls`: one a broker, tried in turn. `shown` names the brokers without credentials, `user` is ours ("" where only a
    certificate says it). `open_timeout` is how long `open`
    tries, `post_timeout` how long a sender waits for a lost connection to come back; seconds."""

    urls: tuple[str, ...]
    shown: str
    user: str
    open_timeout: float = 30.0
    post_timeout: float = 5.0


def parse(url: str) -> Address:
    """Raises ValueError."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    ours = {name: float(query.pop(name)) for name in ("open_timeout", "post_timeout") if name in query}
    if unknown := sorted(query.keys() - LIBRARY):
        known = ", ".join(sorted(LIBRARY | {"open_timeout", "post_timeout"}))
        raise ValueError(f"[bus] url: unknown option {unknown[0]}; known: {known}")
    query = {"heartbeat": "10", "name": f"kilonova {socket.gethostname()} {os.getpid()}"} | query
    credentials, _, hosts = parts.netloc.rpartition("@")
    if not hosts:
        raise ValueError("[bus] url: names no broker")
    given = f"{credentials}@" if credentials else ""
    user = unquote(credentials.partition(":")[0]) or ("" if query.get("auth") == "external" else "guest")
    urls = (f"{parts.scheme}://{given}{host}{parts.path}?{urlencode(query)}" for host in hosts.split(","))
    return Address(urls=tuple(urls), shown=hosts, user=user, **ours)
