"""Host names made from server names."""

from __future__ import annotations

import re
import unicodedata


def hostname_for(name: str, server_uuid: str) -> str:
    """What a guest is called whose server has this name: at most 63 of a-z, 0-9 and `-`."""
    latin = unicodedata.normalize("NFKD", name).encode("latin-1", "ignore").decode("latin-1")
    text = re.sub(r"[^a-zA-Z0-9\-]+", "", re.sub(r"[ _.]", "-", latin)).lower().strip("-")
    return text[:63].rstrip("-") or f"Server-{server_uuid}"
