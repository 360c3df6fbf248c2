"""Databases: engine, transactions, outbox, migrations. Only `store/` and `tables.py` of a service look further in."""

from kilonova.core.db.engine import Connection, Database, Transaction

__all__ = ["Connection", "Database", "Transaction"]
