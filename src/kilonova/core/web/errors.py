"""Error bodies, in each service's own format."""

from __future__ import annotations

import html
from collections.abc import Callable
from http import HTTPStatus

import msgspec

from kilonova.core.errors import KilonovaError

ErrorFormat = Callable[[KilonovaError, str, str], tuple[bytes, str]]
"""(error, request id, Accept header) → (body, content type)."""

COMPUTE_KEYS = {
    400: "badRequest", 401: "unauthorized", 403: "forbidden", 404: "itemNotFound", 405: "badMethod", 406: "notAcceptable",
    409: "conflictingRequest", 413: "overLimit", 415: "badMediaType", 429: "overLimit", 501: "notImplemented",
    503: "serviceUnavailable",
}  # fmt: skip
JSON = "application/json"


def title(status: int) -> str:
    return HTTPStatus(status).phrase


def identity_format(error: KilonovaError, _request_id: str, _accept: str) -> tuple[bytes, str]:
    return msgspec.json.encode(
        {"error": {"code": error.status, "message": error.message, "title": title(error.status)}}
    ), JSON


def compute_format(error: KilonovaError, _request_id: str, _accept: str) -> tuple[bytes, str]:
    key = COMPUTE_KEYS.get(error.status, "computeFault")
    return msgspec.json.encode({key: {"code": error.status, "message": error.message}}), JSON


def network_format(error: KilonovaError, _request_id: str, _accept: str) -> tuple[bytes, str]:
    kind = (
        "HTTP" + title(error.status).replace(" ", "")
        if type(error).__module__.endswith("core.errors")
        else type(error).__name__
    )
    return msgspec.json.encode({"NeutronError": {"type": kind, "message": error.message, "detail": ""}}), JSON


def image_format(error: KilonovaError, _request_id: str, accept: str) -> tuple[bytes, str]:
    name = f"{error.status} {title(error.status)}"
    if JSON in accept:
        return msgspec.json.encode({"message": error.message, "code": name, "title": title(error.status)}), JSON
    text = html.escape(error.message)
    head = f"<html>\n <head>\n  <title>{name}</title>\n </head>\n"
    page = f"{head} <body>\n  <h1>{name}</h1>\n  {text}<br /><br />\n\n </body>\n</html>"
    return page.encode(), "text/html"  # the charset comes with the reply


def placement_format(error: KilonovaError, request_id: str, _accept: str) -> tuple[bytes, str]:
    item = {
        "status": error.status,
        "request_id": request_id,
        "title": title(error.status),
        "detail": error.message,
        "code": error.params.get("code", "placement.undefined_code"),
    }
    return msgspec.json.encode({"errors": [item]}), JSON
