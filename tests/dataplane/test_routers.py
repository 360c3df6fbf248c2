"""Routers in namespaces, on the machine itself."""

from __future__ import annotations

import pytest

from tests.dataplane.l3_conformance import (
    AdvertisementConformance,
    LifeConformance,
    NatConformance,
    RoutingConformance,
    options,
    setting,
    world,
)

pytestmark = pytest.mark.lab
__all__ = ["options", "setting", "world"]  # fixtures


@pytest.fixture
def chosen() -> dict[str, str]:
    return {"l3": "namespace"}


class TestNat(NatConformance): ...


class TestRouting(RoutingConformance): ...


class TestAdvertisements(AdvertisementConformance): ...


class TestLife(LifeConformance): ...
