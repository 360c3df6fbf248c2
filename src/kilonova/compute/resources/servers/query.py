"""The query of server lists."""

from __future__ import annotations

from typing import Any

import msgspec

from kilonova.compute.resources.servers import errors
from kilonova.compute.store.server_lists import EQUALS, NUMBERS, SORT_KEYS, ServerFilter
from kilonova.compute.web.query import InvalidQuery, at_least, flag, moment
from kilonova.core import errors as core_errors
from kilonova.core.patterns import MAX_LENGTH, UnusablePattern, check
from kilonova.core.web.call import Call

# what a user may filter by, and since when; everything else is for admins
USER_FILTERS = {
    "name": "2.1", "status": "2.1", "image": "2.1", "flavor": "2.1", "ip": "2.1", "reservation_id": "2.1",
    "changes-since": "2.1", "all_tenants": "2.1", "ip6": "2.5", "tags": "2.26", "tags-any": "2.26", "not-tags": "2.26",
    "not-tags-any": "2.26", "changes-before": "2.66", "locked": "2.73", "availability_zone": "2.83",
    "config_drive": "2.83", "key_name": "2.83", "power_state": "2.83", "task_state": "2.83", "vm_state": "2.83",
    "progress": "2.83", "user_id": "2.83", "launched_at": "2.83", "terminated_at": "2.83", "created_at": "2.83",
    "description": "2.83", "access_ip_v4": "2.83", "access_ip_v6": "2.83",
}  # fmt: skip
LONGEST = 4096  # characters of a filter's value; databases refuse longer patterns
MAX_TAGS = 50  # of a filter, as of a server
CONTROL = frozenset(["limit", "marker", "sort_key", "sort_dir"])
ADMIN_FILTERS = frozenset(
    [*EQUALS, *USER_FILTERS, "deleted", "metadata", "tenant_id", "project_id", "image_ref", "display_name", "hostname",
     "soft_deleted", "created_at", "launched_at", "terminated_at", "instance_type_id", "kernel_id", "ramdisk_id",
     "root_device_name", "auto_disk_config", "locked_by", "display_description", "hidden", "cell_name",
     "default_ephemeral_device",
     "default_swap_device", "disable_terminate", "ephemeral_gb", "root_gb", "memory_mb", "vcpus", "os_type",
     "shutdown_terminate", "architecture", "launched_on", "vm_mode", "minimal"]
)  # fmt: skip
ALIASES = {
    "image_ref": "image",
    "display_name": "name",
    "display_description": "description",
    "tenant_id": "project_id",
}
TAGS = {"tags": "tags", "tags-any": "tags_any", "not-tags": "not_tags", "not-tags-any": "not_tags_any"}


def read_filter(call: Call, rule: str) -> ServerFilter | None:
    """What the client asked for, limited to what it may ask; None when nothing can match. `rule` is the list's own."""
    given = _given(call)
    wanted = ServerFilter()
    _scope(call, given, wanted, rule)
    statuses = [text.upper() for text in call.query.getall("status", [])]
    if statuses and not _statuses(call, statuses, wanted):
        return None
    _times(call, given, wanted)
    wanted.name, wanted.flavor = _pattern(given.get("name")), given.get("flavor")
    wanted.addresses = [given[key] for key in ("ip", "ip6") if given.get(key)]
    for key, field in TAGS.items():
        if key in given:
            tags = list(dict.fromkeys(tag for tag in given[key].split(",") if tag))
            if len(tags) > MAX_TAGS:
                raise InvalidQuery(name=key, value=f"{len(tags)} tags, at most {MAX_TAGS} are allowed")
            setattr(wanted, field, tags)
    if "locked" in given:
        wanted.locked = _flag("locked", given["locked"])
    if "metadata" in given:
        wanted.metadata = _metadata(given["metadata"])
    wanted.equals = {key: _value(key, given[key]) for key in EQUALS if key in given and key != "project_id"}
    return wanted


def _given(call: Call) -> dict[str, str]:
    """The filters that this caller may use at this version; others are passed over, or refused since 2.75."""
    admin = call.allowed("os_compute_api:servers:allow_all_filters")
    found: dict[str, str] = {}
    for key, value in call.query.multi_items():
        if key in CONTROL:
            continue
        if len(value) > LONGEST:
            raise InvalidQuery(
                name=key, value=f"{value[:60]}… ({len(value)} characters, at most {LONGEST} are allowed)"
            )
        if key not in ADMIN_FILTERS:
            if at_least(call, "2.75"):
                raise InvalidQuery(name=key, value=value)
            continue
        name = ALIASES.get(key, key)
        if admin or (name in USER_FILTERS and at_least(call, USER_FILTERS[name])) or name == "project_id":
            found[name] = value
    return found


def _scope(call: Call, given: dict[str, str], wanted: ServerFilter, rule: str) -> None:
    every = "all_tenants" in call.query and (_flag("all_tenants", call.query["all_tenants"] or "1"))
    if every:
        call.authorize({}, f"{rule}:get_all_tenants")
        wanted.project_id = given.get("project_id")
    else:
        wanted.project_id = call.ctx.project_id or ""
    wanted.soft_deleted = "soft_deleted" in given and _flag("soft_deleted", given["soft_deleted"])
    if "deleted" in given:
        wanted.deleted = _flag("deleted", given["deleted"])
    elif "changes-since" in given or "changes-before" in given:
        wanted.deleted = None


def _statuses(call: Call, statuses: list[str], wanted: ServerFilter) -> bool:
    known = {text for text in statuses if text in KNOWN_STATUSES}
    if not known:
        if at_least(call, "2.38"):
            raise core_errors.BadRequest("Invalid status value")
        return False
    if known == {"DELETED"}:
        if not call.ctx.is_admin:
            raise core_errors.Forbidden("Only administrators may list deleted instances")
        wanted.deleted = True
    wanted.statuses = sorted(known)
    return True


KNOWN_STATUSES = frozenset(
    ["ACTIVE", "BUILD", "DELETED", "ERROR", "HARD_REBOOT", "MIGRATING", "PASSWORD", "PAUSED", "REBOOT", "REBUILD", "RESCUE",
     "RESIZE", "REVERT_RESIZE", "SHELVED", "SHELVED_OFFLOADED", "SHUTOFF", "SOFT_DELETED", "SUSPENDED", "UNKNOWN",
     "VERIFY_RESIZE"]
)  # fmt: skip


def _times(call: Call, given: dict[str, str], wanted: ServerFilter) -> None:
    for key, field in (("changes-since", "changes_since"), ("changes-before", "changes_before")):
        if key in given:
            try:
                setattr(wanted, field, moment(call, key))
            except InvalidQuery:
                raise errors.InvalidFilter(name=key) from None
    since, before = wanted.changes_since, wanted.changes_before
    if since is not None and before is not None and before < since:
        raise core_errors.BadRequest("The value of changes-since must be less than or equal to changes-before.")


def _pattern(text: str | None) -> str | None:
    """A regular expression that is one, and cheap enough."""
    if text is not None:
        try:
            check(text)
        except UnusablePattern as error:
            raise errors.InvalidPattern(pattern=text[:MAX_LENGTH], reason=error) from None
    return text


def _flag(name: str, text: str) -> bool:
    try:
        return flag(text)
    except ValueError:
        raise InvalidQuery(name=name, value=text) from None


def _value(key: str, text: str) -> Any:
    if key in NUMBERS:
        if not text.lstrip("-").isdecimal() or len(text) > 9:
            raise InvalidQuery(name=key, value=text)
        return int(text)
    if key == "config_drive":
        return _flag(key, text)
    if key == "task_state" and text == "null":
        return None
    return text


def _metadata(text: str) -> dict[str, str]:
    try:
        return msgspec.json.decode(text, type=dict[str, str])
    except msgspec.DecodeError:
        raise InvalidQuery(name="metadata", value=text) from None


def read_sorts(call: Call) -> list[tuple[str, bool]]:
    """(key, descending) of each; by default the newest first."""
    keys, directions = call.query.getall("sort_key", []), call.query.getall("sort_dir", [])
    for key in keys:
        if key not in SORT_KEYS or (key in ("host", "node") and not call.ctx.is_admin):
            raise InvalidQuery(name="sort_key", value=key)
    for direction in directions:
        if direction not in ("asc", "desc"):
            raise InvalidQuery(name="sort_dir", value=direction)
    if not keys:
        return [("created_at", (directions or ["desc"])[0] == "desc")]
    falling: dict[str, bool] = {}  # the first of equal keys counts
    for n, key in enumerate(keys):
        falling.setdefault(key, (directions[n] if n < len(directions) else "desc") == "desc")
    return [*falling.items()]
