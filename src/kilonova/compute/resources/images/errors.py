"""Refusals of the images that compute shows."""

from __future__ import annotations

from kilonova.core import errors


class ImageUnknown(errors.NotFound):
    template = "Image not found."


class NotYours(errors.Forbidden):
    template = "You are not allowed to {what} the image."


class UnknownKey(errors.NotFound):
    template = "Invalid metadata key"
