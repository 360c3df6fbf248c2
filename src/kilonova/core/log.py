"""Logs: structlog, one redaction layer for everything that leaves the process as text."""

from __future__ import annotations

import logging
import re
import sys
from typing import Any

import msgspec
import structlog

SECRET_KEYS = re.compile(
    r"pass(word|wd)?$|^admin_?pass|secret|token|^auth$|user_data|private_key|x-auth-key|authorization|credential", re.I
)
# lengths have bounds: users choose much of what is logged, and the time must not grow with its square
SECRET_TEXT = re.compile(r"gAAAA[\w\-=]{20,}|://([^:/@\s]{0,128}):([^\s\"'<>]{1,256})@")
SECRET_PAIR = re.compile(
    r"""((?:pass(?:word|wd)?|admin_?pass|secret|token|user_data|private_key|authorization)["']?\s*[:=]\s*)"""
    r"""(?:b?"(?:[^"\\]|\\.)*"|b?'(?:[^'\\]|\\.)*'|[^\s,;(){}\[\]"']+)""",
    re.I,
)
"""`password=…`, `'adminPass': '…'`: secrets in the texts of exceptions and of their causes."""
ROW_VALUES = re.compile(
    r"(\[parameters: |Failing row contains |Duplicate entry |query argument \$\d{1,9}: |Incorrect \w{1,32} value: "
    r"|Key \([^)\n]{0,256}\)=|invalid input \w{1,32} for [\w ]{1,64}: ).*"
)
"""How SQLAlchemy, PostgreSQL, asyncpg and MariaDB show the values of a row that they refuse."""
HIDDEN = "***"


def redact(value: Any, key: str = "") -> Any:
    """`value` with everything that looks like a secret hidden, at any depth."""
    if key and SECRET_KEYS.search(key) and value not in (None, "", False, True):
        return HIDDEN
    if isinstance(value, dict):
        return {k: redact(v, str(k)) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(redact(v) for v in value) if not hasattr(value, "_fields") else value
    if isinstance(value, str):
        return _redacted(value)
    if isinstance(value, msgspec.Struct):
        return redact(msgspec.structs.asdict(value))
    if isinstance(value, BaseException):
        return redact(f"{type(value).__name__}: {value}")
    if isinstance(value, bytes):
        return redact(repr(value))
    return value


def _redacted(text: str) -> str:
    text = SECRET_TEXT.sub(lambda m: HIDDEN if m.group(1) is None else f"://{m.group(1)}:{HIDDEN}@", text)
    text = SECRET_PAIR.sub(rf"\g<1>{HIDDEN}", text)
    return ROW_VALUES.sub(rf"\g<1>{HIDDEN}", text)


def _redact_event(_logger: Any, _name: str, event: Any) -> Any:
    return {k: redact(v, k) for k, v in event.items()}


def configure(*, level: str = "info", json: bool = False) -> None:
    """Send everything, the standard library's loggers included, to stderr through one chain."""
    number = getattr(logging, level.upper())
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if json
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            exception_formatter=structlog.dev.plain_traceback,  # others print locals: secrets
        )
    )
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,  # before the redaction
    ]
    structlog.configure(
        processors=[*shared, _redact_event, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _redact_event, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(number, logging.WARNING))


def get(name: str) -> structlog.typing.FilteringBoundLogger:
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(component=name)
    return logger
