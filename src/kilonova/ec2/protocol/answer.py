"""Answers as XML, by the shape of the operation's output."""

from __future__ import annotations

import base64
import datetime as dt
import re
from collections.abc import Iterator, Mapping
from typing import Any
from xml.sax.saxutils import escape

from botocore.model import ListShape, Shape, StructureShape

from kilonova.core.errors import KilonovaError
from kilonova.ec2.protocol.model import OperationModel

TYPE = "text/xml"
HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no XML document can hold, not even escaped."""
CODES = {
    400: "InvalidParameterValue", 401: "AuthFailure", 403: "UnauthorizedOperation", 404: "InvalidParameterValue",
    405: "InvalidAction", 409: "IncorrectState", 413: "InvalidParameterValue", 429: "RequestLimitExceeded",
    503: "Unavailable",
}  # fmt: skip


def xml(operation: OperationModel, version: str, request_id: str, values: Mapping[str, Any]) -> bytes:
    """The document of a successful answer; members without a value (None, or not there) are left out. Raises TypeError for a
    value that the output has no place for: an error of ours."""
    name = f"{operation.name}Response"
    parts = [
        HEAD,
        f'<{name} xmlns="http://ec2.amazonaws.com/doc/{version}/">',
        f"<requestId>{text(request_id)}</requestId>",
    ]
    if operation.output_shape is None:
        parts.append("<return>true</return>")
    else:
        parts += _members(operation.output_shape, values)
        if "Return" not in operation.output_shape.members and not values:
            parts.append("<return>true</return>")
    return "".join([*parts, f"</{name}>"]).encode()


def error_xml(error: KilonovaError, request_id: str, _accept: str) -> tuple[bytes, str]:
    """An ErrorFormat (core/web/errors)."""
    code = getattr(error, "code", None) or CODES.get(error.status, "InternalError")
    inner = f"<Error><Code>{text(code)}</Code><Message>{text(error.message)}</Message></Error>"
    body = f"{HEAD}<Response><Errors>{inner}</Errors><RequestID>{text(request_id)}</RequestID></Response>"
    return body.encode(), TYPE


def text(value: str) -> str:
    return escape(NOT_XML.sub("�", value))


def _members(shape: StructureShape, values: Mapping[str, Any]) -> Iterator[str]:
    members = shape.members
    if unknown := values.keys() - members.keys():
        raise TypeError(f"{shape.name} has no {sorted(unknown)}")
    for name, value in values.items():
        if value is not None:
            inner = members[name]
            yield from _element(str(inner.serialization.get("name", name)), inner, value)


def _element(name: str, shape: Shape, value: Any) -> Iterator[str]:
    if isinstance(shape, StructureShape):
        yield f"<{name}>"
        yield from _members(shape, value)
        yield f"</{name}>"
    elif isinstance(shape, ListShape):
        item = str(shape.member.serialization.get("name", "item"))
        yield f"<{name}>"
        for each in value:
            yield from _element(item, shape.member, each)
        yield f"</{name}>"
    else:
        yield f"<{name}>{text(_scalar(value))}</{name}>"


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value)
