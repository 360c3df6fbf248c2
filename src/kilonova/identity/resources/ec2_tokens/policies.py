"""Policy rules of logins by signed requests: for the services that received them."""

from __future__ import annotations

RULES = {
    "identity:ec2tokens_validate": "rule:service_or_admin",
    "identity:s3tokens_validate": "rule:service_or_admin",
}
