"""Passwords that are made for servers' administrators."""

from __future__ import annotations

from kilonova.core.clock import Clock

PASSWORD = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"  # noqa: S105 - the letters to choose from


def make_password(clock: Clock, length: int) -> str:
    return "".join(PASSWORD[byte % len(PASSWORD)] for byte in clock.random_bytes(length))
