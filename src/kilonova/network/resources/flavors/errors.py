"""Refusals of flavors. Class names are what clients see as the error's type: they are upstream's."""

from __future__ import annotations

from kilonova.core import errors


class FlavorNotFound(errors.NotFound):
    template = "Flavor {id} could not be found."


class FlavorServiceProfileBindingExists(errors.Conflict):
    template = "Service Profile {profile_id} is already associated with flavor {id}."


class FlavorServiceProfileBindingNotFound(errors.NotFound):
    template = "Service Profile {profile_id} is not associated with flavor {id}."
