"""Wire shapes of image members."""

from __future__ import annotations

from kilonova.core.web.wire import View


class MemberCreate(View):
    member: str


class MemberUpdate(View):
    status: str


class Member(View):
    member_id: str
    image_id: str
    status: str
    created_at: str
    updated_at: str
    schema: str = "/v2/schemas/member"


class Members(View):
    members: list[Member]
    schema: str = "/v2/schemas/members"
