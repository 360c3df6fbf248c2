"""A cache of encoded detailed views: most servers have not changed since the last list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from cachetools import LRUCache

from kilonova.compute.resources.servers.logic import Extras, opened
from kilonova.compute.resources.servers.views import ServerViews
from kilonova.compute.store.server_lists import StoredServer
from kilonova.core.web.wire import encode

KEPT = 6_000_000  # bytes, some thousand views
BESIDE = 3000  # bytes that a row takes in addition to its view


class ServerViewCache:
    """The key of a view is everything that it is made of, so that no change needs an invalidation."""

    def __init__(self) -> None:
        self._known: LRUCache[tuple[Any, ...], bytes] = LRUCache(KEPT, lambda view: 2 * len(view) + BESIDE)

    def all_shown(self, views: ServerViews, rows: Sequence[StoredServer], extras: Extras) -> Any:
        """A list of ServerView, encoded."""
        return msgspec.Raw(b"[" + b",".join([self._shown(views, row, extras) for row in rows]) + b"]")

    def _shown(self, views: ServerViews, row: StoredServer, extras: Extras) -> bytes:
        devices, fault = extras.devices.get(row.uuid, ()), extras.faults.get(row.uuid)
        key = (
            views.eyes,
            tuple(row),
            tuple(map(tuple, devices)),
            fault and tuple(fault),
            extras.host_status.get(row.host or ""),
        )
        try:
            known = self._known[key]  # `get` would look for it twice
        except KeyError:
            view = views.detail(opened(row, extras), extras, one=False)
            known = self._known[key] = encode(view, views.call.version)
        return known
