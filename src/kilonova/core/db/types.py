"""Column types whose own form differs between engines. Migrations name them too: what one means does not change."""

from __future__ import annotations

from sqlalchemy import BigInteger, DateTime, Integer, LargeBinary, Text
from sqlalchemy.dialects import mysql

Moment = DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")
"""Naive UTC with microseconds; MariaDB's plain DATETIME has whole seconds."""
Blob = LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql")
"""Up to 16 MiB; MariaDB's plain BLOB ends at 64 KiB."""
LongText = Text().with_variant(mysql.MEDIUMTEXT(), "mysql")
"""Up to 16 MiB, as above."""
Counter = BigInteger().with_variant(Integer, "sqlite")
"""A key the engine counts up; SQLite does so for INTEGER alone."""
NAMES = {"Moment": Moment, "Blob": Blob, "LongText": LongText, "Counter": Counter}
