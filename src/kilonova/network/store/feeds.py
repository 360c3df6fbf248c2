"""SQL of hosts' feeds: how many changes each has had (with its agent), and what the last ones were."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Delete, Insert, Select, Text, Update, and_, delete, insert, select, type_coerce, update

from kilonova.core.db import Connection, TypedRow, rows
from kilonova.core.db.locks import locked
from kilonova.core.db.prepared import prepared
from kilonova.network.tables import agents, host_changes

KEPT = 500  # changes of a host


class ChangeRow(TypedRow):
    """A feed with one of its changes, or without any since then."""

    feed: str
    latest: int
    revision: int | None
    news: str | None


async def count(
    connection: Connection, agent_type: str, hosts: Sequence[str], news: str | None, alive_since: str
) -> None:
    """The next revision of these hosts' feeds, and what it is about where it can be said: a revision without that is a gap, and
    the agent asks for everything. Hosts that are down have gaps alone. Until the transaction ends no other one counts there: so
    revisions become visible in their order."""
    if len(hosts) > 1:
        await connection.execute(
            *_locked(agent_type, hosts)
        )  # in one order: two transactions do not wait for each other
    result = await connection.execute(*_counted(agent_type, hosts))
    if news is not None and result.rowcount:
        await connection.execute(*_noted(news, agent_type, hosts, alive_since))


@prepared
def _locked(agent_type: Any, hosts: Any) -> Select[Any]:
    query = select(agents.c.id).where(agents.c.agent_type == agent_type, agents.c.host.in_(hosts))
    return locked(query.order_by(agents.c.host))


@prepared
def _counted(agent_type: Any, hosts: Any) -> Update:
    query = update(agents).where(agents.c.agent_type == agent_type, agents.c.host.in_(hosts))
    return query.values(feed_revision=agents.c.feed_revision + 1)


@prepared
def _noted(news: Any, agent_type: Any, hosts: Any, alive_since: Any) -> Insert:
    living = and_(
        agents.c.agent_type == agent_type, agents.c.host.in_(hosts), agents.c.heartbeat_timestamp >= alive_since
    )
    query = select(agents.c.host, agents.c.feed_revision, type_coerce(news, Text())).where(living)
    return insert(host_changes).from_select(["host", "revision", "news"], query)


async def since(connection: Connection, agent_type: str, host: str, revision: int) -> Sequence[ChangeRow]:
    """The feed with what is known of its changes after a revision, in their order; empty where the host has no agent. One
    statement, so that the latest revision and its change are of one moment."""
    return rows.every(await connection.execute(*_since(agent_type, host, revision)), ChangeRow)


@prepared
def _since(agent_type: Any, host: Any, revision: Any) -> Select[Any]:
    after = and_(host_changes.c.host == agents.c.host, host_changes.c.revision > revision)
    return (
        select(
            agents.c.id.label("feed"),
            agents.c.feed_revision.label("latest"),
            host_changes.c.revision,
            host_changes.c.news,
        )
        .select_from(agents.outerjoin(host_changes, after))
        .where(agents.c.agent_type == agent_type, agents.c.host == host)
        .order_by(host_changes.c.revision)
    )


async def forget_all(connection: Connection, host: str) -> None:
    """Of an agent that is gone: the next one's feed is another."""
    await connection.execute(delete(host_changes).where(host_changes.c.host == host))


async def forget(connection: Connection, host: str, latest: int) -> None:
    """Old changes: an agent that is that far behind asks for everything."""
    await connection.execute(*_old(host, latest - KEPT))


@prepared
def _old(host: Any, revision: Any) -> Delete:
    return delete(host_changes).where(host_changes.c.host == host, host_changes.c.revision <= revision)
