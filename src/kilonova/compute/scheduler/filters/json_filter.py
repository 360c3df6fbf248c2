"""Hint query: a condition on the host's facts, see json_query."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from kilonova.compute.models import HostState
from kilonova.compute.scheduler import json_query
from kilonova.compute.scheduler.filters.base import Filter
from kilonova.compute.scheduler.request import FilterRequest


class JsonFilter(Filter):
    name = "JsonFilter"

    def applies(self, request: FilterRequest) -> bool:
        return bool(request.hint("query"))

    def passes(self, host: HostState, request: FilterRequest) -> str | None:
        for text in request.hint("query"):
            query = parsed(text)
            if isinstance(query, json_query.QueryError):
                return f"query: {query}"
            try:
                if not json_query.evaluate(query, host):
                    return "the query does not hold"
            except json_query.QueryError as error:
                return f"query: {error}"
        return None


@lru_cache(maxsize=64)
def parsed(text: str) -> Any:
    """Parsed once for all hosts; the QueryError where it makes no sense."""
    try:
        return json_query.parse(text)
    except json_query.QueryError as error:
        return error
