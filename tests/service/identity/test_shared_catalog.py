"""The catalog of several identity processes over one memcached."""

from __future__ import annotations

from dataclasses import replace

from kilonova.core.cache import open_cache
from kilonova.identity.app import IdentityService
from kilonova.identity.catalog_cache import ROWS
from tests.databases import statements_of
from tests.service.identity.conftest import CHEAP
from tests.service.identity.test_shared_cache import SECRET, Cloud, cloud, engine, pytestmark

__all__ = ["cloud", "engine", "pytestmark"]


async def replica(cloud: Cloud) -> IdentityService:
    cache = open_cache(cloud.engine.url, SECRET)
    cloud.caches.append(cache)
    made = IdentityService(replace(cloud.identity.core, cache=cache), CHEAP)
    await made.start()
    return made


async def urls(identity: IdentityService, token: str) -> set[str]:
    found = await identity.tokens.validate(token, catalog=True)
    return {row.url for row in found.catalog or ()}


async def statements(identity: IdentityService, token: str, *, catalog: bool) -> int:
    sent = await statements_of(identity.database)
    await identity.tokens.validate(token, catalog=catalog)
    return len(sent)


async def test_read_once_for_all_and_changes_count_at_once(cloud):
    first, second = cloud.identity.service, await replica(cloud)
    token = await cloud.demo()
    known = await urls(first, token)
    assert await urls(second, token) == known
    assert await statements(second, token, catalog=True) == await statements(second, token, catalog=False)
    api = cloud.identity.api
    service = await cloud.identity.made("/services", "service", type="volumev3", name="cinder")
    endpoint = await cloud.identity.made(
        "/endpoints",
        "endpoint",
        service_id=service["id"],
        interface="public",
        url="http://new/v3",
        region_id="RegionOne",
    )
    assert await urls(second, token) == known | {"http://new/v3"}
    await api("PATCH", f"/endpoints/{endpoint['id']}", {"endpoint": {"url": "http://moved/v3"}})
    assert await urls(second, token) == known | {"http://moved/v3"}
    await api("PATCH", f"/services/{service['id']}", {"service": {"enabled": False}})
    assert await urls(second, token) == await urls(first, token) == known
    await api("PATCH", f"/services/{service['id']}", {"service": {"enabled": True}})
    assert await urls(first, token) == known | {"http://moved/v3"}
    await api("DELETE", f"/services/{service['id']}")
    assert await urls(second, token) == known
    await second.stop()


async def test_what_can_not_be_read_is_read_from_the_database(cloud):
    second = await replica(cloud)
    token = await cloud.demo()
    known = await urls(second, token)
    assert known
    await second.core.cache.set(ROWS, b"of another release", 60)
    assert await urls(second, token) == known
    cloud.engine.kill()
    assert await urls(second, token) == known
    assert await urls(cloud.identity.service, token) == known
    await second.stop()
