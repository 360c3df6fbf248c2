"""Refusals of address scopes. Class names are what clients see as the error's type: they are upstream's."""

from __future__ import annotations

from kilonova.core import errors


class AddressScopeNotFound(errors.NotFound):
    template = "Address scope {id} could not be found."


class AddressScopeInUse(errors.Conflict):
    template = (
        "Unable to complete operation on address scope {id}. There are one or more subnet pools in use on the address "
        "scope."
    )


class AddressScopePrefixConflict(errors.Conflict):
    template = "Failed to associate address scope: subnetpools within an address scope must have unique prefixes."


class NetworkAddressScopeAffinityError(errors.BadRequest):
    template = (
        "Subnets of the same address family hosted on the same network must all participate in the same address scope."
    )


class AddressScopeUpdateError(errors.BadRequest):
    template = "Unable to update address scope {id} : {reason}."
