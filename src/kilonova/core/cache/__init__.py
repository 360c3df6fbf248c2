"""Caches: what one process remembers, and what the processes of a cloud share."""

from urllib.parse import urlsplit

from kilonova.core.cache.base import Cache
from kilonova.core.cache.local import LocalCache
from kilonova.core.cache.memcached import MemcachedCache
from kilonova.core.cache.memory import MemoryCache
from kilonova.core.cache.sealed import SealedCache

__all__ = ["Cache", "LocalCache", "MemcachedCache", "MemoryCache", "SealedCache", "open_cache"]


def open_cache(url: str, secret: str) -> Cache:
    """The cache that `cache.url` names: `memory://`, or `memcached://HOST:PORT[,HOST:PORT…]` sealed with `secret`, the same in
    all processes of the cloud. Connects when first asked. Raises ValueError."""
    scheme, _, places = url.partition("://")
    if scheme == "memory":
        return MemoryCache()
    if scheme != "memcached":
        raise ValueError(f"cache.url: no cache for {scheme}://; known: memory://, memcached://")
    if not secret:
        raise ValueError("secrets.cache_secret: memcached needs a secret that all processes share")
    return SealedCache(MemcachedCache([_place(place) for place in places.strip("/").split(",")]), secret)


def _place(text: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port or 11211
    except ValueError:
        host, port = None, 0
    if not host or parts.path or parts.username:
        raise ValueError(f"cache.url: {text!r} is no HOST:PORT")
    return host, port
