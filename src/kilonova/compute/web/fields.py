"""What several wire shapes share."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from kilonova.core.web.wire import View


def matching(pattern: str, words: str, *, min_length: int | None = None, max_length: int | None = None) -> Meta:
    """`words` follow «Expected» where a text does not match."""
    return Meta(pattern=pattern, description=words, min_length=min_length, max_length=max_length)


# printable text without spaces at its ends: no control, format, line-separator, surrogate or private-use characters
_BAD = (
    r"\x00-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff\ud800-\udfff\ue000-\uf8ff"
)
PRINTABLE = rf"\A(?!\s)[^{_BAD}]+(?<!\s)\Z"
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9\-]{0,61}[a-zA-Z0-9])?"
FQDN = rf"\A(?!(?:.*\.)[0-9]+\Z){_LABEL}(?:\.{_LABEL})*\Z"

Name = Annotated[
    str, matching(PRINTABLE, "printable characters without space at the ends", min_length=1, max_length=255)
]
Line = Annotated[str, matching(r"\A[^\x00-\x1f\x7f-\x9f]*\Z", "text without control characters", max_length=255)]
Description = Annotated[
    str,
    matching(
        r"\A[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*\Z",
        "text whose only control characters are tabs and line ends",
        max_length=65535,
    ),
]
ShortDescription = Annotated[str, matching(rf"\A[^{_BAD}]*\Z", "printable characters", max_length=255)]
MetadataKey = Annotated[
    str, matching(r"\A[a-zA-Z0-9\-_:. ]{1,255}\Z", "a key of 1 to 255 letters, digits, spaces and any of - _ : .")
]
MetadataValue = Annotated[
    str,
    matching(
        r"\A[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*\Z",
        "text whose only control characters are tabs and line ends",
        max_length=255,
    ),
]
Metadata = dict[MetadataKey, MetadataValue]
Tag = Annotated[
    str,
    matching(
        r"\A[^,/\x00-\x1f\x7f-\x9f]*\Z", "text without comma, slash and control characters", min_length=1, max_length=60
    ),
]
Uuid = Annotated[
    str,
    matching(r"\A[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}\Z", "a UUID"),
]
HostName = Annotated[
    str, matching(r"\A[a-zA-Z0-9\-._]*\Z", "letters, digits and any of - . _", min_length=1, max_length=255)
]
Fqdn = Annotated[
    str,
    matching(
        FQDN,
        "a host name, perhaps with its domain: labels of 1 to 63 letters, digits and inner hyphens, joined by dots, the last "
        "of several not a number",
        min_length=1,
        max_length=255,
    ),
]
Boolean = (
    Annotated[
        str,
        matching(
            r"\A(?i:true|false|1|0|on|off|yes|no)\Z",
            "a boolean, or one of the texts true, false, 1, 0, on, off, yes, no",
        ),
    ]
    | bool
)
Number = Annotated[str, matching(r"\A[0-9]{1,10}\Z", "a number")] | Annotated[int, Meta(ge=0, le=2147483647)]
Positive = (
    Annotated[str, matching(r"\A0{0,9}[1-9][0-9]{0,9}\Z", "a number of at least 1")]
    | Annotated[int, Meta(ge=1, le=2147483647)]
)
AdminPass = Annotated[str, matching(r"\A[^\x00-\x1f\x7f]*\Z", "a password without control characters", max_length=255)]


class Link(View):
    rel: str
    href: str


def truth(value: str | bool) -> bool:
    """What a Boolean means."""
    return value if isinstance(value, bool) else value.lower() in ("true", "1", "on", "yes")
