"""What all answers share: links, and the attributes of a client's own beside a resource's."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from msgspec import UNSET, field

from kilonova.core.web.call import Call
from kilonova.core.web.wire import View


class Extensible(View):
    """A resource that keeps attributes of the client's own and gives them back."""

    other_fields = Any


class SelfLink(View):
    href: str = field(name="self")


class ListLinks(View):
    href: str = field(name="self")
    previous: str | None = None
    next: str | None = None


def list_links(call: Call, path: str) -> ListLinks:
    query = call.request.url.query
    return ListLinks(href=f"{call.base_url}{path}{'?' + query if query else ''}")


def self_link(call: Call, path: str, record_id: str) -> SelfLink:
    return SelfLink(href=f"{call.base_url}{path}/{quote(record_id, safe='')}")


def with_extra(view: Extensible, extra: dict[str, Any]) -> Any:
    """The view; with attributes of the client's own, a dict of these and the view's fields, which they never hide."""
    if not extra:
        return view
    own = zip(view.__struct_encode_fields__, view.__struct_fields__, strict=True)
    shown = ((wire, getattr(view, name)) for wire, name in own)
    return extra | {wire: value for wire, value in shown if value is not UNSET}
