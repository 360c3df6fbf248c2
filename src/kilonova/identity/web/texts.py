"""Texts as clients may write them. None holds a NUL, which no database keeps."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

NO_NUL, NAME = "text without NUL characters", "text that is not blank, without NUL characters"
Text = Annotated[str, Meta(pattern=r"^[^\x00]*\Z", description=NO_NUL, max_length=65535)]
Name = Annotated[str, Meta(pattern=r"^[^\x00]*[^\s\x00][^\x00]*\Z", min_length=1, max_length=255, description=NAME)]
Id = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9_.-]+\Z", min_length=1, max_length=64, description="letters, digits and any of ._-")
]
Label = Annotated[
    str, Meta(pattern=r"^[^\x00]*\Z", description=NO_NUL, max_length=255)
]  # what only has to be looked up
Secret = Annotated[str, Meta(min_length=1)]
