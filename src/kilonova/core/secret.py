"""Bytes that no log, fault or message shows."""

from __future__ import annotations


class Secret:
    """A passphrase or a key; `reveal` is what it is."""

    __slots__ = ("reveal",)

    def __init__(self, reveal: bytes) -> None:
        self.reveal = reveal

    def __repr__(self) -> str:
        return "Secret(***)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.reveal == self.reveal

    def __hash__(self) -> int:
        return hash(self.reveal)
