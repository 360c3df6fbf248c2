"""Policy rules, with upstream's names. Targets hold the path's ids (`user_id`, `target.user.id` …) or, where the rule is
about an object (OBJECT_RULES), what the handler read of it."""

from __future__ import annotations

from kilonova.core.policy import ANYONE

ADMIN = "rule:admin_required"
READER = f"{ADMIN} or rule:system_reader"
SELF = f"{ADMIN} or user_id:%(target.user.id)s"
SELF_READ = f"{READER} or user_id:%(target.user.id)s"
PROJECT_READ = f"{READER} or project_id:%(target.project.id)s"
DOMAIN_READ = f"{READER} or domain_id:%(target.domain.id)s or project_domain_id:%(target.domain.id)s"
SUBJECT = "user_id:%(target.token.user_id)s"
CREDENTIAL_READ = f"{READER} or user_id:%(target.credential.user_id)s"
CREDENTIAL_WRITE = f"{ADMIN} or user_id:%(target.credential.user_id)s"


def _crud(noun: str, plural: str, read: str = READER) -> dict[str, str]:
    return {
        f"identity:list_{plural}": READER,
        f"identity:get_{noun}": read,
        f"identity:create_{noun}": ADMIN,
        f"identity:update_{noun}": ADMIN,
        f"identity:delete_{noun}": ADMIN,
    }


RULES: dict[str, str] = (
    {
        "admin_required": "role:admin or is_admin:1",
        "owner": "user_id:%(user_id)s",
        "admin_or_owner": "rule:admin_required or rule:owner",
        "service_role": "role:service",
        "service_or_admin": "rule:admin_required or rule:service_role",
        "system_reader": "role:reader and system_scope:all",
        "token_subject": SUBJECT,
        "identity:get_auth_catalog": ANYONE,
        "identity:get_auth_projects": ANYONE,
        "identity:get_auth_domains": ANYONE,
        "identity:get_auth_system": ANYONE,
        "identity:validate_token": f"{READER} or rule:service_role or {SUBJECT}",
        "identity:validate_token_v2": f"{READER} or rule:service_role",  # not upstream's
        "identity:list_access_rules": SELF_READ,
        "identity:check_token": f"{READER} or {SUBJECT}",
        "identity:revoke_token": f"{ADMIN} or {SUBJECT}",
        "identity:list_revoke_events": "rule:service_or_admin",
        "identity:list_user_projects": SELF_READ,
        "identity:list_groups_for_user": SELF_READ,
        "identity:get_domain_role": READER,
        "identity:list_grants": READER,
        "identity:check_grant": READER,
        "identity:create_grant": ADMIN,
        "identity:revoke_grant": ADMIN,
        "identity:list_role_assignments": READER,
        "identity:list_role_inference_rules": READER,
        "identity:list_implied_roles": READER,
        "identity:get_implied_role": READER,
        "identity:check_implied_role": READER,
        "identity:create_implied_role": ADMIN,
        "identity:delete_implied_role": ADMIN,
        "identity:list_users_in_group": READER,
        "identity:check_user_in_group": READER,
        "identity:add_user_to_group": ADMIN,
        "identity:remove_user_from_group": ADMIN,
        "identity:list_project_tags": PROJECT_READ,
        "identity:get_project_tag": PROJECT_READ,
        "identity:update_project_tags": ADMIN,
        "identity:create_project_tag": ADMIN,
        "identity:delete_project_tags": ADMIN,
        "identity:delete_project_tag": ADMIN,
        "identity:list_application_credentials": SELF_READ,
        "identity:get_application_credential": SELF_READ,
        "identity:create_application_credential": "user_id:%(target.user.id)s",
        "identity:delete_application_credential": SELF,
        "identity:ec2_list_credentials": SELF_READ,
        "identity:ec2_get_credential": CREDENTIAL_READ,
        "identity:ec2_create_credential": f"{ADMIN} or (role:member and user_id:%(target.credential.user_id)s)",
        "identity:ec2_delete_credential": f"{ADMIN} or (role:member and user_id:%(target.credential.user_id)s)",
        "identity:list_credentials": CREDENTIAL_READ,
        "identity:get_credential": CREDENTIAL_READ,
        "identity:create_credential": CREDENTIAL_WRITE,
        "identity:update_credential": CREDENTIAL_WRITE,
        "identity:delete_credential": CREDENTIAL_WRITE,
    }
    | {
        f"identity:{verb}_system_grant{plural}_for_{actor}": rule
        for actor in ("user", "group")
        for verb, plural, rule in (
            ("list", "s", READER),
            ("check", "", READER),
            ("create", "", ADMIN),
            ("revoke", "", ADMIN),
        )
    }
    | _crud("user", "users", SELF_READ)
    | _crud("project", "projects", PROJECT_READ)
    | _crud("domain", "domains", DOMAIN_READ)
    | _crud("role", "roles")
    | _crud("group", "groups")
    | _crud("service", "services")
    | _crud("endpoint", "endpoints")
    | _crud("region", "regions", ANYONE)
    | {"identity:list_regions": ANYONE}
)
# decided in the handler, which has to read the object first
OBJECT_RULES = frozenset(
    {f"identity:{verb}_token" for verb in ("validate", "check", "revoke")}
    | {f"identity:{verb}_credential" for verb in ("get", "create", "update", "delete")}
    | {"identity:list_credentials"}
)
