"""Refusals that every resource has. Class names are what clients see as the error's type: they are upstream's."""

from __future__ import annotations

from kilonova.core import errors


class BadRequest(errors.BadRequest):
    template = "Bad {resource} request: {reason}."


class RevisionNumberConstraintFailed(errors.KilonovaError):
    status = 412
    template = "Constrained to {expected}, but current revision is {current}"
