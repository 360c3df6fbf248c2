"""What several wire shapes share."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from kilonova.core.web.call import InvalidInput
from kilonova.core.web.wire import View

Uuid = Annotated[str, Meta(pattern=r"\A[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}\Z", description="a UUID")]
Name = Annotated[str, Meta(max_length=255)]
"""Its spaces at the ends do not count."""
TypeName = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"\A\s*\S[\s\S]*\Z", description="a name")]
Text = Annotated[str, Meta(max_length=255)]
Key = Annotated[str, Meta(min_length=1, max_length=255)]
SpecKey = Annotated[
    str,
    Meta(pattern=r"\A[a-zA-Z0-9\-_:. ]{1,255}\Z", description="1 to 255 letters, digits, spaces and any of - _ : ."),
]
Value = Annotated[str, Meta(max_length=255)]
Metadata = dict[Key, Value]
Boolean = (
    Annotated[
        str,
        Meta(
            pattern=r"\A(?i:true|false|1|0|on|off|yes|no|t|f|y|n)\Z",
            description="a boolean, or one of the texts true, false, 1, 0, on, off, yes, no, t, f, y, n",
        ),
    ]
    | Annotated[int, Meta(ge=0, le=1)]
    | bool
)
Size = (
    Annotated[str, Meta(pattern=r"\A0{0,9}[1-9][0-9]{0,8}\Z", description="a number of at least 1")]
    | Annotated[int, Meta(ge=1, le=2147483647)]
)
"""GiB."""
Plain = (
    Annotated[str, Meta(max_length=1024)] | bool | Annotated[int, Meta(ge=-2147483648, le=2147483647)] | float | None
)
Connector = Annotated[dict[Key, Plain | list[Plain]], Meta(max_length=64)]
"""The machine that is going to use a volume: `host`, `ip`, `initiator`, `mountpoint`, `mode`, …"""
TRUE = ("true", "1", "on", "yes", "t", "y")


class Link(View):
    rel: str
    href: str


def truth(value: str | int | bool) -> bool:
    """What a Boolean means."""
    return bool(value) if isinstance(value, bool | int) else value.lower() in TRUE


def truth_of(text: str, name: str) -> bool:
    """Of a query parameter; raises a 400."""
    if text.lower() in TRUE:
        return True
    if text.lower() in ("false", "0", "off", "no", "f", "n"):
        return False
    raise InvalidInput(reason=f"query parameter {name}: {text[:40]!r} is not a boolean")


def stripped(name: str | UnsetType | None) -> str | None:
    return None if name is None or name is UNSET else str(name).strip()
