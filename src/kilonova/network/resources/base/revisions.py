"""`If-Match: revision_number=5`: a change or deletion only of what is still as its caller saw it."""

from __future__ import annotations

import re
from typing import Any

from kilonova.core.web.call import Call
from kilonova.network.resources.base.errors import BadRequest, RevisionNumberConstraintFailed
from kilonova.network.resources.base.shape import Shape

KEY = "revision_number="
TAG = re.compile(r'(W/)?"([^"]*)"')
NUMBER = re.compile(r"-?[0-9]{1,18}")


def wanted_revision(call: Call, shape: Shape) -> int | None:
    """What the header asks for; None where it says nothing of a revision. Raises BadRequest."""
    if call.request.method not in ("PUT", "DELETE"):
        return None
    header = ", ".join(call.headers.getall("if-match", []))
    quoted = TAG.findall(header)  # weak ones never match; without quotes the header is one tag
    tags = [tag for weak, tag in quoted if not weak] if quoted else [header.strip()]
    wanted = [tag.removeprefix(KEY).strip() for tag in tags if tag.startswith(KEY)]
    if not wanted:
        return None
    if len(wanted) > 1:
        raise BadRequest(resource="if-match", reason="Multiple revision_number etags are not supported.")
    if not NUMBER.fullmatch(wanted[0]):
        raise BadRequest(
            resource="if-match", reason="Revision number etag must be in the format of revision_number=<int>"
        )
    if "revision_number" not in shape.fields:
        raise BadRequest(resource=shape.path, reason="Revision matching not supported for this resource")
    return int(wanted[0])


def check_revision(wanted: int | None, held: Any) -> None:
    """Raises RevisionNumberConstraintFailed unless the row, which the caller has locked, is of this revision."""
    if wanted is not None and held.revision_number != wanted:
        raise RevisionNumberConstraintFailed(expected=wanted, current=held.revision_number)
