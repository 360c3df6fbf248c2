"""Handlers of what is shared with single projects: `shared` is true for callers that it is shared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from kilonova.core.web.call import Call
from kilonova.network.resources.base.handlers import Handlers

L = TypeVar("L", bound=Any)


class SharedHandlers(Handlers[L]):
    def _shown(self, call: Call, items: Sequence[msgspec.Struct], fields: frozenset[str]) -> Sequence[msgspec.Struct]:
        return super()._shown(call, [self._for(call.ctx.project_id, item) for item in items], fields)

    def _for(self, project_id: str | None, item: msgspec.Struct) -> msgspec.Struct:
        targets = getattr(item, "shared_with", None)
        if targets is None:
            return item
        values = {name: getattr(item, name) for name in self.shape.view.__struct_fields__}
        return self.shape.view(**values | {"shared": project_id in targets})
