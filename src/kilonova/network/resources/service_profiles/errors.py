"""Refusals of service profiles. Class names are what clients see as the error's type: they are upstream's."""

from __future__ import annotations

from kilonova.core import errors


class ServiceProfileNotFound(errors.NotFound):
    template = "Service Profile {id} could not be found."


class ServiceProfileInUse(errors.Conflict):
    template = "Service Profile {id} is used by some service instance."


class ServiceProfileDriverNotFound(errors.NotFound):
    template = "Service Profile driver {driver} could not be found."


class ServiceProfileEmpty(errors.BadRequest):
    template = "Service Profile needs either a driver or metainfo."
