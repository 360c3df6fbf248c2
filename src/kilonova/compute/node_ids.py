"""Ids of compute nodes, which follow from their hosts' names."""

from __future__ import annotations

import uuid

NODE_NAMESPACE = uuid.UUID("6f4f9a6e-6b5a-4b0e-9f0c-4b1c6f2d9a11")


def node_uuid(host: str) -> str:
    """The id of a host's node and placement provider: the same at every start."""
    return str(uuid.uuid5(NODE_NAMESPACE, host))
