"""The attributes of an image as data: bodies are checked against this table and `/v2/schemas` is made from it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from kilonova.image.errors import InvalidObject

UUID_PATTERN = "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$"
MEANINGS = {UUID_PATTERN: "a UUID"}  # of patterns, in refusals
MAX_INT = 2147483647
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
JSON_TYPES: dict[str, type] = {
    "string": str, "integer": int, "boolean": bool, "null": type(None), "array": list, "object": dict,
}  # fmt: skip


def shown(value: Any) -> str:
    """A client's value for a message, cut where it gets long."""
    text = repr(value)
    return text if len(text) <= 300 else text[:300] + "…"


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One attribute. `kind` is its JSON type, `null` says that it may be null as well."""

    kind: str
    about: str
    null: bool = False
    read_only: bool = False
    max_length: int | None = None
    enum: tuple[str, ...] | None = None
    pattern: str | None = None
    item_length: int | None = None  # of an array of strings
    plain: bool = False  # no control characters

    def schema(self) -> dict[str, Any]:
        """As JSON schema."""
        made: dict[str, Any] = {"type": ["null", self.kind] if self.null else self.kind, "description": self.about}
        if self.read_only:
            made["readOnly"] = True
        if self.max_length is not None:
            made["maxLength"] = self.max_length
        if self.enum is not None:
            made["enum"] = [None, *self.enum] if self.null else list(self.enum)
        if self.pattern is not None:
            made["pattern"] = self.pattern
        if self.item_length is not None:
            made["items"] = {"type": "string", "maxLength": self.item_length}
        return made

    def problem(self, value: Any) -> str | None:
        """Why a value does not fit; None when it does."""
        if value is None:
            return None if self.null else f"None is not of type '{self.kind}'"
        if not isinstance(value, JSON_TYPES[self.kind]) or (self.kind == "integer" and isinstance(value, bool)):
            kinds = f"'null', '{self.kind}'" if self.null else f"'{self.kind}'"
            return f"{shown(value)} is not of type {kinds}"
        if self.enum is not None and value not in self.enum:
            return f"{shown(value)} is not one of {list(self.enum)!r}"
        if isinstance(value, str):
            return self._text_problem(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return None if 0 <= value <= MAX_INT else f"{shown(value)} is not between 0 and {MAX_INT}"
        if isinstance(value, list):
            return next((found for item in value if (found := self._item_problem(item))), None)
        return None

    def _text_problem(self, value: str) -> str | None:
        if self.max_length is not None and len(value) > self.max_length:
            return f"{shown(value)} is too long"
        if self.pattern is not None and not re.fullmatch(self.pattern.strip("^$"), value):
            return f"{shown(value)} is not {MEANINGS[self.pattern]}"
        if self.plain and CONTROL.search(value):
            return f"{shown(value)} contains control characters"
        return "NUL characters are not allowed" if "\x00" in value else None

    def _item_problem(self, item: Any) -> str | None:
        if not isinstance(item, str):
            return f"{shown(item)} is not of type 'string'"
        if self.item_length is not None and len(item) > self.item_length:
            return f"{shown(item)} is too long"
        return f"{shown(item)} contains control characters" if CONTROL.search(item) else None


VISIBILITIES = ("community", "public", "private", "shared")
STATUSES = (
    "queued", "saving", "active", "killed", "deleted", "uploading", "importing", "pending_delete", "deactivated",
)  # fmt: skip
EXTRA = Field(kind="string", about="A property of the operator's or user's own.", max_length=65535)


def image_fields(disk_formats: tuple[str, ...], container_formats: tuple[str, ...]) -> dict[str, Field]:
    """The attributes that every image has."""
    return {
        "id": Field(kind="string", about="The image's UUID.", pattern=UUID_PATTERN),
        "name": Field(kind="string", null=True, about="What people call the image.", max_length=255, plain=True),
        "status": Field(kind="string", about="Where in its life the image is.", read_only=True, enum=STATUSES),
        "visibility": Field(kind="string", about="Which projects may see and use the image.", enum=VISIBILITIES),
        "protected": Field(kind="boolean", about="Whether deleting the image is refused."),
        "os_hidden": Field(kind="boolean", about="Whether default lists leave the image out."),
        "checksum": Field(kind="string", null=True, read_only=True, about="MD5 of the data.", max_length=32),
        "os_hash_algo": Field(
            kind="string", null=True, read_only=True, about="The algorithm of os_hash_value.", max_length=64
        ),
        "os_hash_value": Field(kind="string", null=True, read_only=True, about="Hash of the data.", max_length=128),
        "owner": Field(kind="string", null=True, about="The owning project's id.", max_length=255, plain=True),
        "size": Field(kind="integer", null=True, read_only=True, about="Bytes of data."),
        "virtual_size": Field(kind="integer", null=True, read_only=True, about="Bytes of the disk a guest sees."),
        "container_format": Field(kind="string", null=True, about="What is around the disk.", enum=container_formats),
        "disk_format": Field(kind="string", null=True, about="The disk's own format.", enum=disk_formats),
        "created_at": Field(kind="string", read_only=True, about="When the image was registered."),
        "updated_at": Field(kind="string", read_only=True, about="When the image was changed last."),
        "tags": Field(kind="array", about="Words that users attach.", item_length=255),
        "direct_url": Field(kind="string", read_only=True, about="Where the data is stored, if shown."),
        "min_ram": Field(kind="integer", about="MiB of memory a guest needs."),
        "min_disk": Field(kind="integer", about="GiB of disk a guest needs."),
        "self": Field(kind="string", read_only=True, about="Path of the image."),
        "file": Field(kind="string", read_only=True, about="Path of the image's data."),
        "stores": Field(kind="string", read_only=True, about="The stores that hold the data."),
        "schema": Field(kind="string", read_only=True, about="Path of this schema."),
    } | WELL_KNOWN


# properties that are extra ones to the store, but whose shape is known
WELL_KNOWN = {
    "kernel_id": Field(kind="string", null=True, about="The kernel of an AMI-style image.", pattern=UUID_PATTERN),
    "ramdisk_id": Field(kind="string", null=True, about="The ramdisk of an AMI-style image.", pattern=UUID_PATTERN),
    "instance_uuid": Field(kind="string", about="The server that the image was taken from."),
    "architecture": Field(kind="string", about="The processor that the image is for."),
    "os_distro": Field(kind="string", about="The operating system's common name."),
    "os_version": Field(kind="string", about="The operating system's version."),
    "description": Field(kind="string", about="What the image is, for people."),
    "cinder_encryption_key_id": Field(kind="string", about="The key that volumes of this image are read with."),
    "cinder_encryption_key_deletion_policy": Field(
        kind="string", about="Whether the key goes with the image.", enum=("on_image_deletion", "do_not_delete")
    ),
}
MEMBER_FIELDS = {
    "created_at": Field(kind="string", about="When the member was added."),
    "image_id": Field(kind="string", about="The image's UUID.", pattern=UUID_PATTERN),
    "member_id": Field(kind="string", about="The project that the image is shared with.", max_length=255, plain=True),
    "status": Field(kind="string", about="What the member decided.", enum=("pending", "accepted", "rejected")),
    "updated_at": Field(kind="string", about="When the member was changed last."),
    "schema": Field(kind="string", about="Path of this schema."),
}


def check(fields: Mapping[str, Field], values: Mapping[str, Any], schema: str = "image") -> None:
    """Raises InvalidObject for the first value that does not fit; unknown names are extra properties."""
    for name, value in values.items():
        field = fields.get(name, EXTRA)
        problem = field.problem(value)
        if problem is None and field is EXTRA and (len(name) > 255 or not name or CONTROL.search(name)):
            problem = "property names have 1 to 255 characters, none of them a control character"
        if problem is not None:
            raise InvalidObject(schema=schema, reason=problem)
