"""Caches: of one process, and shared by the processes of a cloud."""

import ssl
from urllib.parse import parse_qsl, urlsplit

from kilonova.core.cache.base import Cache
from kilonova.core.cache.local import LocalCache
from kilonova.core.cache.memcached import MemcachedCache
from kilonova.core.cache.memory import MemoryCache
from kilonova.core.cache.sealed import SealedCache

__all__ = ["Cache", "LocalCache", "MemcachedCache", "MemoryCache", "SealedCache", "open_cache"]


def open_cache(url: str, secret: str) -> Cache:
    """The cache that `cache.url` names: `memory://`, or `memcached://HOST:PORT[,HOST:PORT…]` sealed with `secret`, the same in
    all processes of the cloud; `memcacheds://…?cafile=FILE` with TLS. Connects when first asked. Raises ValueError."""
    scheme, _, places = url.partition("://")
    if scheme == "memory":
        return MemoryCache()
    if scheme not in ("memcached", "memcacheds"):
        raise ValueError(f"[cache] url: no cache for {scheme}://; known: memory://, memcached://, memcacheds://")
    if not secret:
        raise ValueError("[secrets] cache_secret: memcached needs a secret that all processes share")
    places, _, query = places.partition("?")
    tls = _tls(query) if scheme == "memcacheds" else None
    if query and tls is None:
        raise ValueError("[cache] url: memcached:// has no options")
    return SealedCache(MemcachedCache([_place(place) for place in places.strip("/").split(",")], tls=tls), secret)


def _tls(query: str) -> ssl.SSLContext:
    """The server's certificate must be signed by the system's authorities or by those of `cafile`."""
    options = dict(parse_qsl(query))
    if unknown := sorted(options.keys() - {"cafile"}):
        raise ValueError(f"[cache] url: unknown option {unknown[0]}; known: cafile")
    try:
        return ssl.create_default_context(cafile=options.get("cafile"))
    except OSError as error:
        raise ValueError(f"[cache] url: cafile {options.get('cafile')}: {error.strerror or error}") from None


def _place(text: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port or 11211
    except ValueError:
        host, port = None, 0
    if not host or parts.path or parts.username:
        raise ValueError(f"[cache] url: {text!r} is no HOST:PORT")
    return host, port
