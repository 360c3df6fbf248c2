"""Rows as records, and back."""

from __future__ import annotations

from typing import Any

import msgspec

from kilonova.compute import models
from kilonova.compute.store.flavors import FlavorRow
from kilonova.compute.store.servers import ServerRow


def flavor(row: FlavorRow) -> models.Flavor:
    """A row of `flavors` as servers keep it."""
    fields = [name for name in models.Flavor.__struct_fields__ if name != "id"]
    return models.Flavor(id=row.flavorid, **{name: getattr(row, name) for name in fields})


def server(row: ServerRow) -> models.Server:
    """A row of `servers` as hosts see it."""
    same = [name for name in models.Server.__struct_fields__ if name not in ("number", "network_info")]
    return models.Server(
        number=row.id, network_info=vifs(row.network_info), **{name: getattr(row, name) for name in same}
    )


def vifs(document: Any) -> list[models.Vif]:
    """The interfaces in `servers.network_info`."""
    return msgspec.convert(document or [], list[models.Vif])


def document(value: Any) -> Any:
    """A record as a JSON column holds it."""
    return msgspec.to_builtins(value)
