"""Policy rules of the images that compute shows. Upstream has none: the image service decides, by the caller's token."""

from __future__ import annotations

from kilonova.compute.policy_checks import MEMBER, READER

READ, WRITE = "kilonova:images:read", "kilonova:images:write"
RULES = {READ: READER, WRITE: MEMBER}
