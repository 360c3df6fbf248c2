"""Errors that cross the bus come out as what they were."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import kilonova
from kilonova.core.errors import KilonovaError, NotFound, RemoteError, from_wire, to_wire

for found in pkgutil.walk_packages(kilonova.__path__, "kilonova."):
    if found.name.endswith(".errors") or ".resources." in found.name:
        importlib.import_module(found.name)


@pytest.mark.parametrize("name", sorted(name for name in KilonovaError.registry if name.count(".") == 1))
def test_an_error_comes_out_as_the_same_class(name: str) -> None:
    kind = KilonovaError.registry[name]
    sent = kind("no free addresses", headers={"retry-after": "1"}, subnet="10.0.0.0/24")
    received = from_wire(to_wire(sent))
    assert type(received) is kind
    assert (received.message, received.params, received.headers) == (sent.message, sent.params, sent.headers)


def test_services_may_have_errors_of_one_name() -> None:
    compute, network = (
        KilonovaError.registry[f"{service}.SecurityGroupNotFound"] for service in ("compute", "network")
    )
    assert compute is not network
    assert type(from_wire(to_wire(network("gone")))) is network


def test_two_errors_of_one_name_in_one_service_are_refused() -> None:
    with pytest.raises(
        TypeError,
        match=r"compute\.FlavorNotFound is defined in kilonova\.compute\.resources\.flavors\.errors and again in",
    ):
        type("FlavorNotFound", (NotFound,), {"__module__": "kilonova.compute.other"})
    assert KilonovaError.registry["compute.FlavorNotFound"].__module__ == "kilonova.compute.resources.flavors.errors"


def test_an_error_of_an_unknown_type_becomes_a_remote_error() -> None:
    assert type(from_wire(to_wire(ValueError("odd")))) is RemoteError
    unknown = from_wire({"type": "volume.OutOfSpace", "message": "no space", "params": {}})
    assert (type(unknown), unknown.message) == (RemoteError, "no space")
