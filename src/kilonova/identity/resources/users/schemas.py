"""Wire shapes of users and groups. Attributes of a client's own, such as `email`, are kept and given back."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from kilonova.core.web.wire import Body, View
from kilonova.identity.web.texts import Id, Name, Secret, Text

Rule = Annotated[list[Annotated[str, Meta(min_length=1, max_length=64)]], Meta(min_length=1, max_length=16)]


class UserOptions(Body):
    """Upstream's. Null takes one away. There is no expiry of passwords and no limit of inactivity yet, nor must a first password
    be changed: what would be ignored of them is not there."""

    ignore_change_password_upon_first_use: bool | UnsetType | None = UNSET
    ignore_password_expiry: bool | UnsetType | None = UNSET
    ignore_lockout_failure_attempts: bool | UnsetType | None = UNSET
    ignore_user_inactivity: bool | UnsetType | None = UNSET
    lock_password: bool | UnsetType | None = UNSET
    multi_factor_auth_enabled: bool | UnsetType | None = UNSET
    multi_factor_auth_rules: Annotated[list[Rule], Meta(max_length=16)] | UnsetType | None = UNSET

    def __post_init__(self) -> None:
        rules = self.multi_factor_auth_rules or []
        if any(len(set(rule)) < len(rule) for rule in rules) or len({tuple(rule) for rule in rules}) < len(rules):
            raise ValueError("has multi_factor_auth_rules that name a rule twice, or a method twice in a rule")


class UserCreate(View):
    name: Name
    password: Secret | None = None
    domain_id: Id | None = None
    default_project_id: Id | None = None
    enabled: bool = True
    options: UserOptions | None = None


class UserUpdate(View):
    name: Name | UnsetType = UNSET
    password: Secret | UnsetType | None = UNSET
    domain_id: Id | UnsetType = UNSET
    default_project_id: Id | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET
    options: UserOptions | None = None


class PasswordChange(View):
    password: Secret
    original_password: str


class GroupCreate(View):
    name: Name
    domain_id: Id | None = None
    description: Text | None = None


class GroupUpdate(View):
    name: Name | UnsetType = UNSET
    domain_id: Id | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET
