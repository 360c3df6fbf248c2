"""Wire shapes of users. Attributes of a client's own, such as `email`, are kept and given back."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from kilonova.core.web.wire import Body, View
from kilonova.identity.web.texts import Id, Name, Secret
from kilonova.identity.web.views import Extensible, ListLinks, SelfLink

Rule = Annotated[list[Annotated[str, Meta(min_length=1, max_length=64)]], Meta(min_length=1, max_length=16)]


class UserOptions(Body):
    """Upstream's. Null removes one. There is no expiry of passwords and no limit of inactivity yet, nor must a first password
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


class UserCreate(Extensible):
    name: Name
    password: Secret | None = None
    domain_id: Id | None = None
    default_project_id: Id | None = None
    enabled: bool = True
    options: UserOptions | None = None


class UserUpdate(Extensible):
    name: Name | UnsetType = UNSET
    password: Secret | UnsetType | None = UNSET
    domain_id: Id | UnsetType = UNSET
    default_project_id: Id | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET
    options: UserOptions | None = None


class PasswordChange(View):
    password: Secret
    original_password: str


class UserCreateBody(View):
    user: UserCreate


class UserUpdateBody(View):
    user: UserUpdate


class PasswordChangeBody(View):
    user: PasswordChange


class User(Extensible, kw_only=True):
    id: str
    name: str
    domain_id: str
    enabled: bool
    password_expires_at: str | None = None
    options: dict[str, Any]
    default_project_id: str | UnsetType = UNSET
    links: SelfLink


class UserBody(View):
    user: User


class Users(View):
    users: list[User]
    links: ListLinks


class AccessRules(View):
    """The list is empty: access rules cannot be made yet."""

    access_rules: list[Any]
    links: ListLinks
