"""Rules of what is shared with single projects or every one, beside its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import msgspec

from kilonova.network.resources.base.facts import Facts, facts
from kilonova.network.resources.base.logic import ReadLogic
from kilonova.network.resources.rbac_policies import sharing
from kilonova.network.store import rbac_policies as store
from kilonova.network.store.objects import SharedRow
from kilonova.network.store.tags import Condition

R = TypeVar("R", bound=SharedRow)
V = TypeVar("V", bound=msgspec.Struct)


class SharedLogic(ReadLogic[R, V]):
    """A subclass says what RBAC policies call the objects."""

    object_type: ClassVar[str]

    def seen_by(self, project_id: str) -> Condition:
        return store.visible(self.objects, self.object_type, project_id)

    def conditions(self, filters: Mapping[str, Sequence[Any]]) -> list[Condition]:
        return sharing.conditions(self.objects, self.object_type, filters)

    def facts(self, row: R) -> Facts:
        return facts(row) | {"shared": row.shared_with}
