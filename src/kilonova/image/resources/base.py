"""What the resources of image are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kilonova.image.fields import Field
from kilonova.image.resources.image_data.logic import DataLogic
from kilonova.image.resources.images.logic import ImageLogic


@dataclass(frozen=True)
class Deps:
    """`fields` are the attributes that an image has here."""

    images: ImageLogic
    data: DataLogic
    fields: Mapping[str, Field]
