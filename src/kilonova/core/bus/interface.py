"""Typed bus interfaces: a class whose methods are marked call, cast, hint or fanout.

    class ConductorAPI(Interface):
        topic = "conductor"
        @cast
        async def build_servers(self, ctx: RequestContext, build: BuildServers) -> None: ...

The manager subclasses it and does the work; `bus.client(ConductorAPI)` returns an object of the same type whose methods
send. Arguments and results are encoded by their annotations; unknown fields are tolerated, so that neighbours of the
next release may talk to us. Every method takes a RequestContext first.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Any, ClassVar, TypeVar, get_type_hints

import msgspec

F = TypeVar("F", bound=Callable[..., Any])


class Interface:
    """A component's methods on the bus. `version` is raised when a method or a required field is added."""

    topic: ClassVar[str]
    version: ClassVar[str] = "1.0"


class Method(msgspec.Struct, frozen=True):
    """One method: `pattern` is call, cast or fanout; `arguments` a Struct of its parameters after the context; `expendable`
    of a hint; `from_host` as the decorator of that name says, None: hosts may not send it."""

    name: str
    pattern: str
    timeout: float
    arguments: Any
    result: Any
    parameters: tuple[str, ...]
    expendable: bool = False
    from_host: str | None = None


def _mark(pattern: str, timeout: float, *, expendable: bool = False) -> Callable[[F], F]:
    def mark(function: F) -> F:
        function.__bus__ = (pattern, timeout, expendable)  # type: ignore[attr-defined]
        return function

    return mark


def call(*, timeout: float) -> Callable[[F], F]:
    """Wait for the result, at most `timeout` seconds."""
    return _mark("call", timeout)


def cast(function: F) -> F:
    """Hand over to one receiver; no result."""
    return _mark("cast", 0)(function)


def hint(function: F) -> F:
    """A cast that an absent receiver does not need: the outbox drops it where there is no receiver. For receivers that ask for
    everything when they start."""
    return _mark("cast", 0, expendable=True)(function)


def fanout(function: F) -> F:
    """Send to every receiver on the topic; no result."""
    return _mark("fanout", 0)(function)


ANY_HOST = "*"
RECEIVER = "."


def from_host(argument: str) -> Callable[[F], F]:
    """Compute hosts may send this. `argument` is the one that must name the sending host, as `host` or `report.host`; RECEIVER:
    the sender must be the host that serves the interface; ANY_HOST: the manager compares `ctx.sender` itself."""

    def mark(function: F) -> F:
        function.__from_host__ = argument  # type: ignore[attr-defined]
        return function

    return mark


def methods(interface: type[Interface]) -> dict[str, Method]:
    """The table of an interface's methods, from its annotations."""
    key: Any = interface
    return _methods(key)


@lru_cache
def _methods(interface: Any) -> dict[str, Method]:
    table: dict[str, Method] = {}
    for owner in reversed(interface.__mro__):
        for name, function in vars(owner).items():
            mark = getattr(function, "__bus__", None)
            if mark is not None:
                table[name] = _describe(name, function, *mark)
    return table


def _describe(name: str, function: Callable[..., Any], pattern: str, timeout: float, expendable: bool) -> Method:
    hints = get_type_hints(function, include_extras=True)
    fields: list[Any] = []
    for parameter in list(inspect.signature(function).parameters.values())[2:]:
        kind = hints[parameter.name]
        fields.append(
            (parameter.name, kind)
            if parameter.default is parameter.empty
            else (parameter.name, kind, parameter.default)
        )
    arguments = msgspec.defstruct(f"{name}_arguments", fields, kw_only=True)
    parameters = tuple(field[0] for field in fields)
    from_host = getattr(function, "__from_host__", None)
    return Method(name, pattern, timeout, arguments, hints["return"], parameters, expendable, from_host)
