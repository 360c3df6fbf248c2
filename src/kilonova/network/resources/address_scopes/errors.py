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


class AddressScopeUpdateError(errors.BadRequest):
    template = "Unable to update address scope {id} : {reason}."
