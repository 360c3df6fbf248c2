"""memcached."""

from __future__ import annotations

from kilonova.testing.engines.base import Engine, program


class Memcached(Engine):
    name = "memcached"
    user = "memcache"

    @property
    def url(self) -> str:
        return f"memcached://{self.address}:{self.port}"

    def command(self) -> list[str]:
        return [program("memcached"), "-l", self.address, "-p", str(self.port), "-U", "0", "-m", "64"]
