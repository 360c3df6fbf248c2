"""Bodies that a handler takes apart by itself, as those whose one key names an action."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from kilonova.core.web.call import Call, InvalidInput
from kilonova.core.web.validation_errors import violation_of

T = TypeVar("T")


def converted(call: Call, given: Any, shape: type[T]) -> T:
    """Plain data as this shape, at the request's version; a 400 that names the field when it does not fit."""
    call.reads(shape)
    try:
        return msgspec.convert(given, call.shape(shape))
    except msgspec.ValidationError as error:
        raise InvalidInput(reason=str(violation_of(error, shape, call.version))) from None
