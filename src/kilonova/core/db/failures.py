"""The meaning of database errors: a conflict, an unreachable server, or a value that does not fit its column."""

from __future__ import annotations

from typing import Any

from sqlalchemy.exc import DBAPIError, IntegrityError

from kilonova.core import errors, log

logger = log.get("database")
DuplicateRow = IntegrityError
"""A unique key or a foreign key refused it: a concurrent transaction was faster."""

COLLISIONS = frozenset({"40001", "40P01", "55P03", 1020, 1205, 1213})
"""Serialisation failures, deadlocks, lock time-outs: SQLSTATEs of PostgreSQL, numbers of MariaDB."""
AWAY_CLASSES = ("08", "53", "57")  # connection, out of resources, shut down by an operator
AWAY_NUMBERS = frozenset({1040, 1053, 1203, 2002, 2003, 2006, 2013, 2014, 2055})
UNFIT_CLASSES = ("22",)
UNFIT_NUMBERS = frozenset({1264, 1265, 1366, 1406, 3988})


class Collision(errors.ServiceUnavailable):
    """The transaction was rolled back because of a concurrent one; a retry helps. `retried` does so."""

    template = "The service is unavailable: the {name} database is busy"


def is_twin(error: DuplicateRow) -> bool:
    """Whether it was a unique key that refused, not a foreign one."""
    return _code(error) in ("23505", 1062) or "UNIQUE" in str(error.orig)


def translated(error: DBAPIError, name: str) -> Exception:
    """What callers get to see for an error of `name`'s database; the error itself where it says nothing of its own."""
    code = _code(error)
    if isinstance(error, IntegrityError):
        return error
    if code in COLLISIONS:
        logger.info("transaction conflict", database=name, code=code)
        return Collision(name=name, headers={"Retry-After": "1"})
    if error.connection_invalidated or code in AWAY_NUMBERS or _of_class(code, AWAY_CLASSES) or _locked(error):
        return unavailable(error, name)
    if _of_class(code, UNFIT_CLASSES) or code in UNFIT_NUMBERS or _unfit(error):
        logger.info("value does not fit its column", database=name, reason=_reason(error))
        return errors.BadRequest()
    return error


def unavailable(error: BaseException, name: str) -> errors.ServiceUnavailable:
    """The reason, which names hosts and accounts, is for the log."""
    logger.warning("database unreachable", database=name, reason=_reason(error))
    return errors.ServiceUnavailable(reason=f"the {name} database is unreachable", headers={"Retry-After": "5"})


def _code(error: DBAPIError) -> Any:
    """SQLSTATE of PostgreSQL, number of MariaDB."""
    number = next(iter(getattr(error.orig, "args", ())), None)
    return number if isinstance(number, int) else getattr(error.orig, "sqlstate", None)


def _of_class(code: Any, classes: tuple[str, ...]) -> bool:
    return isinstance(code, str) and code.startswith(classes)


def _locked(error: DBAPIError) -> bool:
    """SQLite names its errors by words: another process writes for longer than we wait, the file can't be opened or written."""
    return type(error.orig).__module__.startswith("sqlite3") and type(error.orig).__name__ == "OperationalError"


def _unfit(error: DBAPIError) -> bool:
    """asyncpg refuses some values before they reach the server."""
    return type(error.orig.__cause__).__name__ == "DataError" if error.orig is not None else False


def reason_of(error: errors.ServiceUnavailable) -> str:
    """What the driver said, for an operator."""
    return _reason(error.__cause__ or error)


def _reason(error: BaseException) -> str:
    text = str(getattr(error, "orig", None) or error)
    return next(iter(text.splitlines()), "") or type(error).__name__
