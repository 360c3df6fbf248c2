"""What is wrong with a request is said in words: which field, and what may be there."""

from __future__ import annotations

from typing import Any

import pytest

LONG = "x" * 300
OWN = "/users/{user}/application_credentials"
WRONG: list[tuple[str, str, str, Any, str]] = [
    ("POST", "/users", "user", {"name": ""}, "user.name"),
    ("POST", "/users", "user", {"name": " "}, "user.name"),
    ("POST", "/users", "user", {"name": "a\x00"}, "user.name"),
    ("POST", "/users", "user", {"name": LONG}, "user.name"),
    ("POST", "/users", "user", {}, "name"),
    ("POST", "/users", "user", {"name": 1}, "user.name"),
    ("POST", "/users", "user", {"name": "a", "domain_id": "a/b"}, "user.domain_id"),
    ("POST", "/users", "user", {"name": "a", "password": ""}, "user.password"),
    ("POST", "/users", "user", {"name": "a", "enabled": "yes"}, "user.enabled"),
    ("POST", "/users", "user", {"name": "a", "options": {"colour": 1}}, "colour"),
    ("POST", "/users", "user", {"name": "a", "options": {"lock_password": "x"}}, "user.options.lock_password"),
    ("POST", "/users", "user", {"name": "a", "options": {"multi_factor_auth_rules": [[]]}}, "multi_factor_auth_rules"),
    ("POST", "/users", "user", {"name": "a", "options": {"multi_factor_auth_rules": [["a", "a"]]}}, "twice"),
    ("PATCH", "/users/{user}", "user", {"default_project_id": "a b"}, "user.default_project_id"),
    ("POST", "/users", "user", [], "user"),
    ("POST", "/users", "nothing", {}, "user"),
    ("POST", "/groups", "group", {"name": LONG}, "group.name"),
    ("POST", "/projects", "project", {"name": "a", "tags": ["a,b"]}, "project.tags[0]"),
    ("POST", "/projects", "project", {"name": "a", "tags": ["a"] * 90}, "project.tags"),
    ("POST", "/projects", "project", {"name": "a", "options": {"immutable": 3}}, "project.options.immutable"),
    ("POST", "/domains", "domain", {"name": "a", "explicit_domain_id": "x"}, "domain.explicit_domain_id"),
    ("POST", "/regions", "region", {"id": "a/b"}, "region.id"),
    ("POST", "/services", "service", {"type": ""}, "service.type"),
    ("POST", "/endpoints", "endpoint", {"service_id": "x", "interface": "bad", "url": "http://x"}, "'public'"),
    ("POST", "/endpoints", "endpoint", {"service_id": "x", "interface": "public", "url": "no"}, "endpoint.url"),
    ("POST", "/roles", "role", {"name": "a", "options": {"x": True}}, "role.options"),
    ("POST", OWN, "application_credential", {"name": "a", "access_rules": [{}]}, "access_rules is not supported"),
    ("POST", OWN, "application_credential", {"name": "a", "roles": [{"x": 1}]}, "application_credential.roles[0]"),
    ("POST", OWN, "application_credential", {"name": "a", "secret": ""}, "application_credential.secret"),
    ("POST", OWN, "application_credential", {"name": "a", "expires_at": "soon"}, "expires_at"),
    ("POST", OWN, "application_credential", {"name": "a", "unrestricted": "no"}, "application_credential.unrestricted"),
    ("POST", "/credentials", "credential", {"type": "ec2", "blob": "{}", "project_id": "a b"}, "credential.project_id"),
    ("POST", "/credentials", "credential", {"type": "ec2", "blob": "{}", "project_id": "ab"}, "access"),
    ("POST", "/users/{user}/credentials/OS-EC2", "", {}, "tenant_id"),
    ("PUT", "/projects/{user}/tags", "tags", "x", "tags"),
    ("POST", "/auth/tokens", "auth", {"identity": {"methods": "x"}}, "auth.identity.methods"),
    ("POST", "/auth/tokens", "auth", {"identity": {"methods": [], "password": {}}}, "user"),
    ("POST", "/auth/tokens", "auth", {"identity": {"methods": []}, "scope": "bad"}, "auth.scope"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "noun", "body", "words"), WRONG)
async def test_errors_name_the_field_and_what_is_wrong(identity, method, path, noun, body, words):
    user = await identity.find("/users", "users", "admin")
    answer = await identity.api(method, path.format(user=user), {noun: body} if noun else body)
    assert answer.status == 400, answer.content
    message = answer.json["error"]["message"]
    assert words in message
    for jargon in ("regex", "\\", "^", "`", "$", "length", "Struct", "msgspec"):
        assert jargon not in message, message
