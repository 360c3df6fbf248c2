"""Policy rules of all resources, with upstream's names."""

from __future__ import annotations

from kilonova.image.resources.image_data import policies as image_data
from kilonova.image.resources.images import policies as images
from kilonova.image.resources.members import policies as members

RULES: dict[str, str] = {"default": ""} | images.RULES | image_data.RULES | members.RULES
