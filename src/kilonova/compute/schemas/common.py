"""What several wire shapes share."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from kilonova.core.web.wire import View

# printable text without spaces at its ends: no control, format, line-separator, surrogate or private-use characters
_BAD = (
    r"\x00-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff\ud800-\udfff\ue000-\uf8ff"
)
PRINTABLE = rf"\A(?!\s)[^{_BAD}]+(?<!\s)\Z"

Name = Annotated[str, Meta(min_length=1, max_length=255, pattern=PRINTABLE)]
Description = Annotated[str, Meta(max_length=65535, pattern=r"\A[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*\Z")]
ShortDescription = Annotated[str, Meta(max_length=255, pattern=rf"\A[^{_BAD}]*\Z")]
MetadataKey = Annotated[str, Meta(pattern=r"\A[a-zA-Z0-9\-_:. ]{1,255}\Z")]
MetadataValue = Annotated[str, Meta(max_length=255, pattern=r"\A[^\x00]*\Z")]
Metadata = dict[MetadataKey, MetadataValue]
Tag = Annotated[str, Meta(min_length=1, max_length=60, pattern=r"\A[^,/\x00]*\Z")]
Uuid = Annotated[
    str, Meta(pattern=r"\A[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}\Z")
]
HostName = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"\A[a-zA-Z0-9\-._]*\Z")]
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9\-]{0,61}[a-zA-Z0-9])?"
# a host name, perhaps with its domain, as DNS takes it; a last label of digits alone would be that of an address
Fqdn = Annotated[str, Meta(min_length=1, max_length=255, pattern=rf"\A(?!(?:.*\.)[0-9]+\Z){_LABEL}(?:\.{_LABEL})*\Z")]
Boolean = Annotated[str, Meta(pattern=r"\A(?i:true|false|1|0|on|off|yes|no)\Z")] | bool
Number = Annotated[str, Meta(pattern=r"\A[0-9]{1,10}\Z")] | Annotated[int, Meta(ge=0, le=2147483647)]
Positive = Annotated[str, Meta(pattern=r"\A0{0,9}[1-9][0-9]{0,9}\Z")] | Annotated[int, Meta(ge=1, le=2147483647)]


class Link(View):
    rel: str
    href: str


def truth(value: str | bool) -> bool:
    """What a Boolean means."""
    return value if isinstance(value, bool) else value.lower() in ("true", "1", "on", "yes")
