"""A client's address, by which logins are queued."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kilonova.core.web.call import Call

SourceOf = Callable[[Call], str]


def sources(proxies: Sequence[str]) -> SourceOf:
    """A function for a client's address: the one that a known proxy names, else that of the connection; "" in this process."""

    def source_of(call: Call) -> str:
        address = call.request.client.host if call.request.client is not None else ""
        if address not in proxies:
            return address
        forwarded: list[str] = call.headers.getall("x-forwarded-for", [])
        return (
            forwarded[-1].rpartition(",")[2].strip() if forwarded else ""
        ) or address  # what came before may be the client's own

    return source_of
