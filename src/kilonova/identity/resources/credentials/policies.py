"""Policy rules of EC2 credentials and others."""

from __future__ import annotations

from kilonova.identity.web.checks import ADMIN, READER, SELF_READ

CREDENTIAL_READ = f"{READER} or user_id:%(target.credential.user_id)s"
CREDENTIAL_WRITE = f"{ADMIN} or user_id:%(target.credential.user_id)s"
EC2_WRITE = f"{ADMIN} or (role:member and user_id:%(target.credential.user_id)s)"

OF_ANY_KIND = {
    "identity:list_credentials": CREDENTIAL_READ,
    "identity:get_credential": CREDENTIAL_READ,
    "identity:create_credential": CREDENTIAL_WRITE,
    "identity:update_credential": CREDENTIAL_WRITE,
    "identity:delete_credential": CREDENTIAL_WRITE,
}
RULES = OF_ANY_KIND | {
    "identity:ec2_list_credentials": SELF_READ,
    "identity:ec2_get_credential": CREDENTIAL_READ,
    "identity:ec2_create_credential": EC2_WRITE,
    "identity:ec2_delete_credential": EC2_WRITE,
}
OBJECT_RULES = frozenset(OF_ANY_KIND)
