"""Query parameters by microversion. One that a version does not know is refused, as upstream does."""

from __future__ import annotations

from collections.abc import Mapping

from kilonova.core import errors
from kilonova.core.web.call import Call
from kilonova.core.web.wire import Version


class InvalidParameters(errors.BadRequest):
    template = "Invalid query string parameters: {reason}"


def check_known(call: Call, known: Mapping[str, str]) -> None:
    """`known` maps parameters to the microversion since which they are there."""
    version = call.version or Version(1, 0)
    strange = sorted({name for name in call.query if name not in known or version < Version.parse(known[name])})
    if strange:
        names = ", ".join(f"'{name}'" for name in strange)
        verb = "was" if len(strange) == 1 else "were"
        raise InvalidParameters(reason=f"Additional properties are not allowed ({names} {verb} unexpected)")
