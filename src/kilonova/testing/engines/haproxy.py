"""haproxy."""

from __future__ import annotations

from pathlib import Path

from kilonova.testing.engines.base import LOOPBACK, Engine, program


class HAProxy(Engine):
    """`routes` maps a name to (port, back ends as host:port); a back end is in use while `GET /healthcheck` answers 200."""

    name = "haproxy"

    def __init__(
        self, folder: Path, routes: dict[str, tuple[int, list[str]]], *, tied: bool = True, address: str = LOOPBACK,
        check: str = "/healthcheck",
    ) -> None:  # fmt: skip
        super().__init__(folder, port=next(iter(routes.values()))[0], tied=tied, address=address)
        self.routes, self.check = routes, check

    def prepare(self) -> None:
        lines = [
            "defaults", "  mode http", "  timeout connect 2s", "  timeout client 10m", "  timeout server 10m",
            "  retries 2", "  option redispatch", f"  option httpchk GET {self.check}",
            "  default-server inter 500ms fall 2 rise 1",
        ]  # fmt: skip
        for name, (port, back_ends) in self.routes.items():
            lines += [f"listen {name}", f"  bind {self.address}:{port}", "  balance roundrobin"]
            lines += [f"  server {name}{n} {address} check" for n, address in enumerate(back_ends, 1)]
        (self.folder / "haproxy.cfg").write_text("\n".join(lines) + "\n")

    def command(self) -> list[str]:
        return [program("haproxy"), "-db", "-f", str(self.folder / "haproxy.cfg")]
