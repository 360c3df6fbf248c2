"""Refusals that concern key pairs, with upstream's wording and codes."""

from __future__ import annotations

from kilonova.compute.errors import OVER
from kilonova.core.errors import BadRequest, Conflict, Forbidden, NotFound


class KeyPairNotFound(NotFound):
    template = "Keypair {name} not found for user {user_id}"


class KeyPairExists(Conflict):
    template = "Key pair '{name}' already exists."


class InvalidKeyPair(BadRequest):
    template = "Keypair data is invalid: {reason}"


class KeyPairQuota(Forbidden):
    template = f"Quota exceeded, too many key pairs. {OVER}"
