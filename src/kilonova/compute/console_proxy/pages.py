"""The pages and what they load: files beside this one, and those in the archives of npm's packages (tools/vendor_pages.py)."""

from __future__ import annotations

import asyncio
import hashlib
import zipfile
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

FOLDER = Path(__file__).parent
KINDS = {".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css"}
PAGES = {"/vnc_lite.html": "vnc_lite.html", "/vnc_auto.html": "vnc_lite.html", "/serial": "serial.html"}
"""vnc_auto.html is what upstream's configuration calls it."""
INLINE_STYLES = ("serial.html",)
"""xterm.js makes style sheets for its colours and sizes."""
COMMON = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",  # the token is in the page's address
    "cross-origin-resource-policy": "same-origin",
}


class File(msgspec.Struct, frozen=True):
    content: bytes
    kind: str

    @property
    def tag(self) -> str:
        return f'"{hashlib.sha256(self.content).hexdigest()[:32]}"'


class Pages:
    """`origins`: whose pages may have ours in frames."""

    def __init__(self, origins: Iterable[str] = ()) -> None:
        self._frames = " ".join(("'self'", *origins))

    @cached_property
    def _names(self) -> dict[str, tuple[Path, str]]:
        """Path in the URL → file, and the name inside of it where it is an archive."""
        found = {f"/{file.name}": (file, "") for file in (FOLDER / "pages").iterdir() if file.suffix != ".html"}
        found |= {path: (FOLDER / "pages" / name, "") for path, name in PAGES.items()}
        for archive in (FOLDER / "packages").glob("*.zip"):
            with zipfile.ZipFile(archive) as opened:
                for name in opened.namelist():
                    found[f"/packages/{archive.stem}/{name}"] = archive, name
        return found

    async def file(self, path: str) -> File | None:
        return await asyncio.to_thread(self._read, path)

    def _read(self, path: str) -> File | None:
        file, name = self._names.get(path, (None, ""))
        if file is None:
            return None
        kind = KINDS.get(PurePosixPath(name or file.name).suffix, "text/plain")
        if not name:
            return File(file.read_bytes(), kind)
        with zipfile.ZipFile(file) as opened:
            return File(opened.read(name), kind)

    def headers(self, path: str) -> dict[str, str]:
        """Pages load and connect to nothing but this server. They are not kept: their address has a token."""
        page = PAGES.get(path)
        if page is None:
            return COMMON | {"cache-control": "no-cache"}
        inline = " 'unsafe-inline'" if page in INLINE_STYLES else ""
        policy = (
            f"default-src 'none'; script-src 'self'; style-src 'self'{inline}; img-src 'self' data: blob:; "
            f"font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors {self._frames}"
        )
        return COMMON | {"cache-control": "no-store", "content-security-policy": policy}

    async def answer(self, scope: Any, send: Any) -> None:
        """A GET or HEAD; 304 where the client has the file."""
        reading = scope["method"] in ("GET", "HEAD")
        found = await self.file(scope["path"]) if reading else None
        if found is None:
            await _reply(send, 404 if reading else 405, COMMON, b"")
            return
        headers = {"content-type": f"{found.kind}; charset=utf-8", "etag": found.tag, **self.headers(scope["path"])}
        known = dict(scope["headers"]).get(b"if-none-match", b"").decode("latin-1") == found.tag
        body = b"" if known or scope["method"] == "HEAD" else found.content
        await _reply(send, 304 if known else 200, headers, body, length=0 if known else len(found.content))


async def _reply(send: Any, status: int, headers: dict[str, str], body: bytes, *, length: int = 0) -> None:
    every = headers if status == 304 else headers | {"content-length": str(length)}
    raw = [(name.encode(), value.encode()) for name, value in every.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
