"""Typed errors: one class for each kind of refusal, able to cross the bus and to become an HTTP reply."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec


class KilonovaError(Exception):
    """Base of all our errors. `status` is the HTTP status; `message` is shown to users, so it holds no secret.

    A subclass sets `template`, filled from the keyword parameters: `raise FlavorNotFound(flavor_id="x")`.

    `registry` maps the name under which an error crosses the bus, `compute.FlavorNotFound`, to its class: the package that
    defines it is part of the name, as several services have errors of one name. Two of one name in one package are refused.
    """

    status: ClassVar[int] = 500
    template: ClassVar[str] = "The server has either erred or is incapable of performing the requested operation."
    registry: ClassVar[dict[str, type[KilonovaError]]] = {}
    wire_name: ClassVar[str] = "core.KilonovaError"

    def __init__(self, message: str | None = None, /, *, headers: dict[str, str] | None = None, **params: Any) -> None:
        self.params = params
        self.headers = headers or {}
        self.message = message if message is not None else self.template.format(**params)
        super().__init__(self.message)

    def __init_subclass__(cls) -> None:
        cls.wire_name = f"{_package(cls.__module__)}.{cls.__name__}"
        known = KilonovaError.registry.setdefault(cls.wire_name, cls)
        if known is not cls and known.__module__ != cls.__module__:
            raise TypeError(f"{cls.wire_name} is defined in {known.__module__} and again in {cls.__module__}")
        KilonovaError.registry[cls.wire_name] = cls


def _package(module: str) -> str:
    """`kilonova.compute.errors` → `compute`; of a module outside, its whole name."""
    parts = module.split(".")
    return parts[1] if parts[0] == "kilonova" and len(parts) > 1 else module


class BadRequest(KilonovaError):
    status = 400
    template = "The server could not comply with the request since it is either malformed or otherwise incorrect."


class Unauthorized(KilonovaError):
    status = 401
    template = "The request you have made requires authentication."


class Forbidden(KilonovaError):
    status = 403
    template = "You are not authorized to perform the requested action: {action}."


class NotFound(KilonovaError):
    status = 404
    template = "The resource could not be found."


class MethodNotAllowed(KilonovaError):
    status = 405
    template = "The method is not allowed for this resource."


class NotAcceptable(KilonovaError):
    status = 406
    template = "The requested version or format is not acceptable."


class Conflict(KilonovaError):
    status = 409
    template = "The request conflicts with the state of the resource."


class Gone(KilonovaError):
    status = 410
    template = "The resource is no longer available."


class TooLarge(KilonovaError):
    status = 413
    template = "The request body is larger than {limit} bytes."


class UnsupportedMediaType(KilonovaError):
    status = 415
    template = "The content type {content_type} is not supported here."


class TooManyRequests(KilonovaError):
    status = 429
    template = "Too many requests; try again later."


class ServiceUnavailable(KilonovaError):
    status = 503
    template = "The service is unavailable: {reason}"


class PeerAway(ServiceUnavailable):
    """Another service of the cloud could not be reached. Its message names its address: for logs, not for clients."""


class BusError(KilonovaError):
    template = "The message could not be delivered: {reason}"


class NoReceiver(BusError):
    """The topic, or this host of it, has no receiver."""


class CallTimeout(BusError):
    """No reply within the deadline; the work may or may not have been done."""

    template = "No reply to {method} within {seconds} s"


class RemoteError(KilonovaError):
    """The other side failed with an error that has no type of its own here."""

    template = "{kind}: {text}"


class CannotStart(Exception):
    """A process can't work until its setup is changed; the text says what to change."""


def to_wire(error: BaseException) -> dict[str, Any]:
    """A dict from which `from_wire` makes the same typed error on the other side of the bus."""
    if isinstance(error, KilonovaError):
        params = msgspec.to_builtins(error.params, enc_hook=str)
        return {"type": error.wire_name, "message": error.message, "params": params, "headers": error.headers}
    return {"type": RemoteError.wire_name, "message": f"{type(error).__name__}: {error}", "params": {}}


def from_wire(wire: dict[str, Any]) -> KilonovaError:
    kind = KilonovaError.registry.get(wire["type"], RemoteError)
    error = kind(wire["message"], headers=wire.get("headers"))
    error.params = wire["params"]
    return error
