"""Databases: engine, transactions, outbox, migrations. Only `store/` and `tables.py` of a service use its modules."""

from kilonova.core.db.engine import Connection, Database, Transaction
from kilonova.core.db.failures import Collision, DuplicateRow, is_twin
from kilonova.core.db.retry import retried
from kilonova.core.db.rows import TypedRow

__all__ = [
    "Collision",
    "Connection",
    "Database",
    "DuplicateRow",
    "Transaction",
    "TypedRow",
    "is_twin",
    "retried",
]
