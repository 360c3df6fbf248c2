"""Texts as clients may write them. None holds a NUL, which no database keeps."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

Text = Annotated[str, Meta(pattern=r"^[^\x00]*\Z", max_length=65535)]
Name = Annotated[str, Meta(pattern=r"^[^\x00]*[^\s\x00][^\x00]*\Z", min_length=1, max_length=255)]
Id = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]+\Z", min_length=1, max_length=64)]
Label = Annotated[str, Meta(pattern=r"^[^\x00]*\Z", max_length=255)]  # what only has to be looked up
Secret = Annotated[str, Meta(min_length=1)]
