"""How the metadata proxy proves to the metadata service whom a guest's request comes from."""

from __future__ import annotations

import hashlib
import hmac

FORWARDED_FOR = "X-Forwarded-For"
INSTANCE_ID = "X-Instance-ID"
TENANT_ID = "X-Tenant-ID"
SIGNATURE = "X-Instance-ID-Signature"


def sign_instance(secret: str, instance_id: str, project_id: str) -> str:
    """HMAC-SHA256, in hex, over the server and its project; compare with `hmac.compare_digest`."""
    return hmac.new(secret.encode(), f"{instance_id}:{project_id}".encode(), hashlib.sha256).hexdigest()
