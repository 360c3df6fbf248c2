"""Whether routes do what they declare: tests compare each request and reply with `Route.body` and `Route.reply`, so that
documents made of these are true. In production nothing is compared and nothing is paid."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar, get_args, get_origin

import msgspec

from kilonova.core.web.call import Call, Reply
from kilonova.core.web.wire import Version, at_version, encode, hints_of, members

if TYPE_CHECKING:
    from kilonova.core.web.app import Route, Web

T = TypeVar("T")
PLAIN = (dict[str, Any], list[Any], Any, object)
"""What a body is decoded as that is looked at further by hand: the handler says by `call.reads(shape)` as what."""
checked = False
"""Whether routes of documented services are compared. Set by tests, before the services are made."""
found: list[str] = []
"""Every difference, for tests whose client takes the 500 for an outage."""


class Undeclared(Exception):
    """A route reads or answers what it does not declare."""


class Declaration:
    """Of one route; `place` names it."""

    def __init__(self, route: Route, place: str) -> None:
        self.route, self.place = route, place
        self.bodies = members(route.body)
        self.inner = [part for kind in self.bodies for part in _fields(kind)]
        self.replies = members(route.reply)

    def fail(self, what: str) -> NoReturn:
        found.append(f"{self.place} {what}")
        raise Undeclared(found[-1])

    def call(self, *args: Any) -> Call:
        """A Call of these arguments that compares what is read."""
        made = CheckedCall(*args)
        made.declaration = self
        return made

    def check_reply(self, call: Call, reply: Reply, version: Version | None) -> None:
        """Raises Undeclared unless the handler declared what it read, and its answer is what the route declares."""
        if isinstance(call, CheckedCall) and call.undeclared:
            self.fail("reads a body as plain data without declaring its shape by call.reads(shape)")
        body = reply.body
        if isinstance(body, AsyncIterator) or (isinstance(body, bytes) and "json" not in reply.content_type):
            if not {bytes, str} & {_bare(kind) for kind in self.replies}:
                self.fail(f"answers {reply.content_type} but declares {_names(self.replies)}")
            return
        if body is None:
            if self.route.reply is not None and type(None) not in self.replies:
                self.fail(f"answers nothing but declares {_names(self.replies)}")
            return
        if isinstance(body, msgspec.Struct) and type(body) not in self.replies:
            self.fail(f"answers {type(body).__name__} but declares {_names(self.replies)}")
        problems = [problem for kind in self.replies if (problem := _problem(kind, body, version))]
        if len(problems) == len(self.replies):
            self.fail(f"answers what is not {_names(self.replies)}: {'; '.join(problems)}")


class CheckedCall(Call):
    """A call that compares what is read with what its route declares."""

    declaration: Declaration
    undeclared = False

    def reads(self, kind: Any) -> None:
        if kind not in self.declaration.bodies and kind not in self.declaration.inner:
            self._undeclared(kind)
        self.undeclared = False

    async def decode(self, kind: type[T], *, empty: T | None = None) -> T:
        plain = kind in PLAIN
        if not plain and kind not in self.declaration.bodies:
            self._undeclared(kind)
        decoded = await super().decode(kind, empty=empty)
        self.undeclared = plain and kind not in self.declaration.bodies
        return decoded

    async def stream(self, limit: int | None = None) -> AsyncIterator[bytes]:
        if self.declaration.route.body is None:
            self.declaration.fail("reads a body and declares nothing")
        self.undeclared = bytes not in map(_bare, self.declaration.bodies)
        async for piece in super().stream(limit):
            yield piece

    def _undeclared(self, kind: Any) -> NoReturn:
        self.declaration.fail(f"reads {_name(kind)} but declares {_names(self.declaration.bodies)}")


def declaration_of(web: Web, route: Route, place: str) -> Declaration | None:
    """None where nothing is compared."""
    return Declaration(route, place) if checked and web.documented else None


def _problem(kind: Any, body: Any, version: Version | None) -> str:
    """Why the reply is not of this type; "" when it is."""
    if _bare(kind) in (type(None), bytes, str):
        return f"it is no {_name(kind)}"
    closed = at_version(kind, version or Version(0, 0), closed=True)
    try:
        msgspec.json.decode(body if isinstance(body, bytes) else encode(body, version), type=closed)
    except msgspec.MsgspecError as error:
        return str(error)
    return ""


def _fields(kind: Any) -> list[Any]:
    """The types that a Struct's fields, or the items of its lists, have."""
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        return []
    hints = [part for hint in hints_of(kind).values() for part in members(hint)]
    return [*hints, *(arg for hint in hints if get_origin(hint) is list for arg in get_args(hint))]


def _bare(kind: Any) -> Any:
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _name(kind: Any) -> str:
    return getattr(kind, "__name__", str(kind)) if isinstance(kind, type) and not get_args(kind) else str(kind)


def _names(kinds: Collection[Any]) -> str:
    return " or ".join(map(_name, kinds)) or "nothing"
