"""The only interface to placement for other services."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kilonova.core import errors
from kilonova.core.service import Core
from kilonova.placement.resources.allocations.schemas import (
    AllocationIn,
    Allocations,
    AllocationsPut,
    ProviderAllocations,
)
from kilonova.placement.resources.providers.schemas import (
    Inventories,
    InventoriesPut,
    InventoryIn,
    Provider,
    Providers,
    ProviderSummaries,
    ProviderSummary,
)

HEADERS = {"OpenStack-API-Version": "placement 1.39"}
WHATEVER_GENERATION = {"OpenStack-API-Version": "placement 1.27"}  # the last one that asks for none


class HeldAlready(errors.Conflict):
    template = "Consumer {consumer} holds resources of {provider} already."


class PlacementClient:
    """Always acts on the component's own account."""

    def __init__(self, core: Core) -> None:
        self._http = core.client("placement", headers=HEADERS)

    async def ensure_provider(self, uuid: str, name: str) -> Provider:
        """The provider of this uuid, made when missing."""
        try:
            return await self._http.get(f"/resource_providers/{uuid}", Provider)
        except errors.NotFound:
            return await self._http.send("POST", "/resource_providers", {"uuid": uuid, "name": name}, Provider)

    async def providers(self) -> list[Provider]:
        return (await self._http.get("/resource_providers", Providers)).resource_providers

    async def delete_provider(self, uuid: str) -> None:
        await self._http.request("DELETE", f"/resource_providers/{uuid}")

    async def set_inventories(self, uuid: str, inventories: dict[str, InventoryIn]) -> None:
        """Replace a provider's inventories, whatever its generation; nothing is sent when they are so already."""
        for _ in range(5):
            held = await self._http.get(f"/resource_providers/{uuid}/inventories", Inventories)
            if _same(held, inventories):
                return
            body = InventoriesPut(
                resource_provider_generation=held.resource_provider_generation, inventories=inventories
            )
            try:
                await self._http.request("PUT", f"/resource_providers/{uuid}/inventories", body=body)
            except errors.Conflict as error:
                if "generation" not in error.message:
                    raise
            else:
                return
        raise errors.Conflict(f"resource provider {uuid} keeps changing")

    async def summaries(self, changed_within: float | None = None) -> list[ProviderSummary]:
        """Of every provider, or of those that changed within so many seconds, by placement's clock."""
        query = f"?changed_within={changed_within:.3f}" if changed_within is not None else ""
        return (await self._http.get(f"/provider_summaries{query}", ProviderSummaries)).provider_summaries

    async def claim(
        self, consumer: str, provider: str, resources: dict[str, int], *, project_id: str, user_id: str,
        also: Iterable[str] = (), first: bool = False,
    ) -> bool:  # fmt: skip
        """Take the resources for a consumer, giving back what it held elsewhere than at the providers `also`; False when
        they do not fit (any more). Repeating a claim is harmless. With `first` a consumer that holds something already keeps
        it: raises HeldAlready."""
        body = AllocationsPut(
            allocations={uuid: AllocationIn(resources=resources) for uuid in (provider, *also)},
            project_id=project_id,
            user_id=user_id,
            consumer_type="INSTANCE",
        )
        path = f"/allocations/{consumer}"
        for _ in range(5):
            try:
                await self._http.request("PUT", path, body=body)
            except errors.Conflict as error:
                if "consumer generation" not in error.message:
                    return False
                held = await self._http.get(path, Allocations)
                if first and held.allocations:
                    raise HeldAlready(consumer=consumer, provider=next(iter(held.allocations))) from None
                body.consumer_generation = held.consumer_generation or None
            else:
                return True
        return False

    async def claim_many(
        self, wanted: Mapping[str, str], resources: dict[str, int], *, project_id: str, user_id: str
    ) -> bool:
        """consumer → provider: the same resources for each of consumers that hold nothing yet. All of them or none; False when
        one does not fit, holds something or has an unknown provider."""
        body = {
            consumer: AllocationsPut(
                allocations={provider: AllocationIn(resources=resources)}, project_id=project_id, user_id=user_id,
                consumer_type="INSTANCE",
            )
            for consumer, provider in wanted.items()
        }  # fmt: skip
        try:
            await self._http.request("POST", "/allocations", body=body)
        except (errors.Conflict, errors.NotFound, errors.BadRequest):
            return False
        return True

    async def hand_over(self, giver: str, taker: str, consumer_type: str) -> bool:
        """What one consumer holds is another's from now on, which gives back what it held; at once. False when the giver
        holds nothing, as after a first call."""
        for _ in range(5):
            given, held = await self.allocations(giver), await self.allocations(taker)
            if not given.allocations:
                return False
            owner = {"project_id": given.project_id, "user_id": given.user_id}
            kept = {uuid: {"resources": one.resources} for uuid, one in given.allocations.items()}
            body = {
                giver: owner | {"allocations": {}, "consumer_generation": given.consumer_generation,
                                "consumer_type": given.consumer_type},
                taker: owner | {"allocations": kept, "consumer_generation": held.consumer_generation or None,
                                "consumer_type": consumer_type},
            }  # fmt: skip
            try:
                await self._http.request("POST", "/allocations", body=body)
            except errors.Conflict as error:
                if "generation" not in error.message:
                    raise
            else:
                return True
        raise errors.Conflict(f"the claims of {giver} and {taker} keep changing")

    async def consumers_of(self, provider: str) -> list[str]:
        """The consumers of a provider's resources."""
        found = await self._http.get(f"/resource_providers/{provider}/allocations", ProviderAllocations)
        return list(found.allocations)

    async def allocations(self, consumer: str) -> Allocations:
        return await self._http.get(f"/allocations/{consumer}", Allocations)

    async def release(self, consumer: str) -> None:
        """Give everything back; nothing happens when nothing is held."""
        try:
            await self._http.request("DELETE", f"/allocations/{consumer}")
        except errors.NotFound:
            return

    async def release_many(self, owners: Mapping[str, tuple[str, str]]) -> None:
        """consumer → its (project id, user id): the same for all of them, or for none."""
        body = {
            consumer: {"allocations": {}, "project_id": project_id, "user_id": user_id}
            for consumer, (project_id, user_id) in owners.items()
        }
        await self._http.request("POST", "/allocations", body=body, headers=WHATEVER_GENERATION)


def _same(held: Inventories, wanted: dict[str, InventoryIn]) -> bool:
    if held.inventories.keys() != wanted.keys():
        return False
    fields = InventoryIn.__struct_fields__
    return all(getattr(held.inventories[n], f) == getattr(w, f) for n, w in wanted.items() for f in fields)
