"""How the metadata proxy proves to the metadata service which guest a request comes from.

Each host signs with a secret of its own, which the metadata service derives from the cloud's and the host's name: so a host can
ask for its own guests alone."""

from __future__ import annotations

import hashlib
import hmac

FORWARDED_FOR = "X-Forwarded-For"
INSTANCE_ID = "X-Instance-ID"
TENANT_ID = "X-Tenant-ID"
SIGNATURE = "X-Instance-ID-Signature"
HOST = "X-Kilonova-Host"
PREFIX = "host:"  # of a host's secret, which no secret of a cloud begins with


def host_secret(secret: str, host: str) -> str:
    """A host's secret, `host:NAME:…`; one that is a host's already stays as it is."""
    if secret.startswith(PREFIX):
        return secret
    return f"{PREFIX}{host}:{hmac.new(secret.encode(), host.encode(), hashlib.sha256).hexdigest()}"


def host_of(secret: str) -> str:
    """The host whose secret this is; "" for the cloud's."""
    return secret.removeprefix(PREFIX).rpartition(":")[0] if secret.startswith(PREFIX) else ""


def sign_instance(secret: str, instance_id: str, project_id: str) -> str:
    """HMAC-SHA256, in hex, over the server and its project; compare with `hmac.compare_digest`."""
    return hmac.new(secret.encode(), f"{instance_id}:{project_id}".encode(), hashlib.sha256).hexdigest()
