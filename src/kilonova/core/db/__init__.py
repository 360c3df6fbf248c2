"""Databases: engine, transactions, outbox, migrations. Only `store/` and `tables.py` of a service look further in."""

from kilonova.core.db.engine import Connection, Database, Row, Transaction

__all__ = ["Connection", "Database", "Row", "Transaction"]
