"""Refusals of address groups. Class names are what clients see as the error's type: they are upstream's."""

from __future__ import annotations

from kilonova.core import errors


class AddressGroupNotFound(errors.NotFound):
    template = "Address group {id} could not be found."


class AddressGroupInUse(errors.Conflict):
    template = "Address group {id} is in use on one or more security group rules."


class AddressesNotFound(errors.NotFound):
    template = "Addresses {addresses} not found in the address group {id}."


class AddressesAlreadyExist(errors.BadRequest):
    template = "Addresses {addresses} already exist in the address group {id}."
