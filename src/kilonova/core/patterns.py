"""Regular expressions that users send, matched by RE2: the time is linear in the text, whatever the pattern.

Python's `re`, PostgreSQL and MariaDB backtrack: a pattern of 60 characters can keep them busy for minutes. So no such pattern
reaches any of them. RE2's syntax is that of `re` without look-around and back references.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

MAX_LENGTH = 255
MAX_MEMORY = 32 << 10  # bytes of a compiled pattern and its automaton; 255 characters are then matched in under 0.3 ms


MARKS = r"\.[](){}*+?|^$"


class UnusablePattern(ValueError):
    """The text is no regular expression, or one that is too large; it says which."""


def is_plain(pattern: str) -> bool:
    """Is it a text, perhaps with ^ before and $ after it? A database can look for that itself."""
    return not any(mark in pattern.removeprefix("^").removesuffix("$") for mark in MARKS)


def check(pattern: str) -> None:
    """Raises UnusablePattern."""
    if len(pattern) > MAX_LENGTH:
        raise UnusablePattern(f"it is longer than {MAX_LENGTH} characters")
    if not is_plain(pattern):
        matcher(pattern)


@lru_cache(64)
def matcher(pattern: str) -> Callable[[str], bool]:
    """Does the pattern occur in a text? Raises UnusablePattern."""
    import re2  # 4 MB, needed by searches with patterns only

    options = re2.Options()
    options.max_mem, options.log_errors = MAX_MEMORY, False
    try:
        search = re2.compile(pattern, options).search
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        raise UnusablePattern(reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)) from None
    except UnicodeError:
        raise UnusablePattern("it is not valid text") from None
    return lambda text: search(text) is not None
