"""Column types whose own form differs between engines. Migrations name them too: what one means does not change."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, DateTime, Integer, LargeBinary, String, Text, TypeDecorator
from sqlalchemy.dialects import mysql

Moment = DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")
"""Naive UTC with microseconds; MariaDB's plain DATETIME has whole seconds."""
Blob = LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql")
"""Up to 16 MiB; MariaDB's plain BLOB ends at 64 KiB."""
LongText = Text().with_variant(mysql.MEDIUMTEXT(), "mysql")
"""Up to 16 MiB, as above."""
Counter = BigInteger().with_variant(Integer, "sqlite")
"""A key the engine counts up; SQLite does so for INTEGER alone."""


class Number128(TypeDecorator[int]):
    """A number of up to 128 bits, as an IPv6 address is one: 32 hexadecimal digits, which sort as the numbers do."""

    impl = String(32)
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Any) -> str | None:
        return None if value is None else f"{value:032x}"

    def process_result_value(self, value: str | None, dialect: Any) -> int | None:
        return None if value is None else int(value, 16)


NAMES = {"Moment": Moment, "Blob": Blob, "LongText": LongText, "Counter": Counter}
