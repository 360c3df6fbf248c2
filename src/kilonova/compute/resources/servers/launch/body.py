"""From a request's body to a LaunchRequest: what the schema alone can't say, upstream's rules of each field."""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from typing import Any, Literal

import msgspec
from msgspec import UnsetType

from kilonova.compute import models
from kilonova.compute.resources.servers import errors
from kilonova.compute.resources.servers import schemas as shapes
from kilonova.compute.resources.servers.launch.devices import block_devices
from kilonova.compute.resources.servers.launch.request import LaunchRequest
from kilonova.compute.resources.servers.passwords import make_password
from kilonova.compute.scheduler import json_query
from kilonova.compute.web.fields import truth
from kilonova.compute.web.query import at_least
from kilonova.core.addresses import parse_address, parse_network
from kilonova.core.clock import Clock
from kilonova.core.web.call import Call, InvalidInput
from kilonova.core.web.wire import present

BASE64 = re.compile(r"[A-Za-z0-9+/\s]*(?:=\s*){0,2}")
MAX_HINTS, MAX_HINT_VALUES, MAX_HINT_LENGTH = 50, 100, 255
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def to_launch(call: Call, body: shapes.ServerCreate, *, clock: Clock, password_length: int, most: int) -> LaunchRequest:
    """Raises a 400 that says what is wrong, or a 403 for what the caller may not ask."""
    asked = body.server
    if not present(body.hints, None) and not isinstance(body.old_hints, UnsetType):
        body.hints = body.old_hints
    least, count = _counts(asked, most)
    hostname = present(asked.hostname_label, present(asked.hostname, None))
    if hostname is not None and count > 1:
        raise errors.AmbiguousHostname
    devices, image_id = block_devices(asked)
    if devices:
        call.authorize({"project_id": call.ctx.project_id}, "os_compute_api:servers:create:attach_volume")
    wanted = LaunchRequest(
        name=asked.name, description=_description(call, asked), flavor_id=str(asked.flavor_ref).rstrip("/").split("/")[-1],
        image_id=image_id, metadata=asked.metadata, networks=_networks(call, asked),
        security_groups=_groups(asked), hints=_hints(present(body.hints, {})), block_devices=devices,
        config_drive=truth(asked.config_drive or False), key_name=present(asked.key_name, None), least=least, most=count,
        user_data=user_data_of(asked.user_data), personality=[file_of(file) for file in asked.personality],
        admin_pass=present(asked.admin_pass, None) or make_password(clock, password_length),
        access_ip_v4=address(asked.access_ip_v4, 4), access_ip_v6=address(asked.access_ip_v6, 6),
        disk_config=asked.disk_config, tags=list(dict.fromkeys(asked.tags)), hostname=hostname,
        trusted_image_certificates=_certificates(call, asked),
        port_may_be_external=call.allowed("network:attach_external_network"),
        zero_disk_allowed=call.allowed("os_compute_api:servers:create:zero_disk_flavor"),
        multiattach=at_least(call, "2.60"),
    )  # fmt: skip
    _place(call, asked, wanted)
    return wanted


def _counts(asked: shapes.ServerIn, most: int) -> tuple[int, int]:
    least = int(asked.min_count)
    count = least if isinstance(asked.max_count, UnsetType) else int(asked.max_count)
    if least > count:
        raise InvalidInput(reason="min_count must be <= max_count")
    if count > most:
        raise InvalidInput(reason=f"at most {most} servers can be created by one request")
    return least, count


def _description(call: Call, asked: shapes.ServerIn) -> str | None:
    return present(asked.description, None) if at_least(call, "2.19") else asked.name


def _groups(asked: shapes.ServerIn) -> list[str] | None:
    if isinstance(asked.security_groups, UnsetType):
        return None
    return [group.name for group in asked.security_groups]


def _networks(call: Call, asked: shapes.ServerIn) -> list[models.NetworkRequest] | Literal["auto", "none"] | None:
    if at_least(call, "2.37"):
        if isinstance(asked.networks, UnsetType):
            raise InvalidInput(reason="server must have 'networks', a required property")
        if isinstance(asked.networks, str):
            return asked.networks
        given = asked.networks
    else:
        given = present(asked.networks_old, [])
    if not given:  # an empty list names none, as upstream takes it
        return None
    call.authorize({"project_id": call.ctx.project_id}, "os_compute_api:servers:create:attach_network")
    return [_network(network) for network in given]


def _network(asked: shapes.NetworkIn) -> models.NetworkRequest:
    if asked.port is None:
        if asked.uuid is None:
            raise InvalidInput(reason="Bad networks format: a network needs a uuid or a port")
        try:
            network_id = str(uuid.UUID(asked.uuid))
        except ValueError:
            raise InvalidInput(
                reason=f"Bad networks format: network uuid is not in proper format ({asked.uuid})"
            ) from None
        fixed = address(asked.fixed_ip, None, strict=True)
        return models.NetworkRequest(network_id=network_id, fixed_ip=fixed, tag=asked.tag)
    if asked.fixed_ip is not None:
        raise InvalidInput(reason=f"Specified Fixed IP '{asked.fixed_ip}' cannot be used with port '{asked.port}'")
    return models.NetworkRequest(port_id=str(uuid.UUID(asked.port)), tag=asked.tag)


def _hints(given: dict[str, Any]) -> dict[str, list[str]]:
    """Every hint as a list of texts. Those that upstream checks are checked."""
    hints: dict[str, list[str]] = {}
    if len(given) > MAX_HINTS:
        raise InvalidInput(reason=f"more than {MAX_HINTS} scheduler hints")
    for key, value in given.items():
        items = value if isinstance(value, list) else [value]
        if len(items) > MAX_HINT_VALUES:
            raise InvalidInput(reason=f"scheduler hint {key[:60]} has more than {MAX_HINT_VALUES} values")
        texts = [item if isinstance(item, str) else msgspec.json.encode(item).decode() for item in items]
        longest = json_query.MAX_LENGTH if key == "query" else MAX_HINT_LENGTH
        if any(len(text) > longest or CONTROL.search(text) for text in texts):
            raise InvalidInput(
                reason=f"scheduler hint {key[:60]} is longer than {longest} characters or has control characters"
            )
        if key in ("group", "same_host", "different_host"):
            texts = [_uuid(key, text) for text in texts]
        if key == "build_near_host_ip":
            for text in texts:
                address(text, None, strict=True)
        if key == "cidr" and not all(map(_is_prefix, texts)):
            raise InvalidInput(reason="scheduler hint cidr is no prefix length such as /24")
        if key == "query":
            _check_queries(texts)
        if texts:
            hints[key] = texts
    return hints


def _is_prefix(text: str) -> bool:
    """A length such as /24 or /64, or an IPv4 mask."""
    if not re.fullmatch(r"/[0-9.]{1,15}", text):
        return False
    for any_address in ("0.0.0.0", "::"):  # noqa: S104 - no address to listen on
        try:
            parse_network(f"{any_address}{text}")
        except ValueError:
            continue
        return True
    return False


def _check_queries(texts: list[str]) -> None:
    """Each host is asked, so they are to be small."""
    try:
        parts = sum(json_query.size(json_query.parse(text)) for text in texts)
    except json_query.QueryError as error:
        raise InvalidInput(reason=f"scheduler hint query: {error}") from None
    if parts > json_query.MAX_PARTS:
        raise InvalidInput(reason=f"scheduler hint query has more than {json_query.MAX_PARTS} parts")


def _uuid(name: str, text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise InvalidInput(reason=f"scheduler hint {name}: {text!r} is not a 'uuid'") from None


def user_data_of(text: str | None) -> str | None:
    if not text:
        return None
    try:
        if not BASE64.fullmatch(text):
            raise binascii.Error
        base64.b64decode(text)
    except (binascii.Error, ValueError):
        raise errors.InvalidUserData from None
    return text


def file_of(file: shapes.PersonalityIn) -> models.PersonalityFile:
    try:
        contents = base64.b64decode("".join(file.contents.split()), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInput(reason=f"Personality content for {file.path} cannot be decoded") from None
    return models.PersonalityFile(path=file.path, contents=contents)


def address(text: str | None, version: int | None, *, strict: bool = False) -> str | None:
    """The canonical form; '' is None unless `strict`."""
    if text is None or (text == "" and not strict):
        return None
    try:
        found = parse_address(text)
    except ValueError:
        raise InvalidInput(reason=f"{text!r} is not a valid IP address") from None
    if version is not None and found.version != version:
        raise InvalidInput(reason=f"{text!r} is not an IPv{version} address")
    return str(found)


def _certificates(call: Call, asked: shapes.ServerIn) -> list[str] | None:
    given = present(asked.trusted_image_certificates, None)
    if given:
        call.authorize({"project_id": call.ctx.project_id}, "os_compute_api:servers:create:trusted_certs")
    return given


def _place(call: Call, asked: shapes.ServerIn, wanted: LaunchRequest) -> None:
    """`zone`, `zone:host`, `zone:host:node`, and since 2.74 host and hypervisor_hostname."""
    target = {"project_id": call.ctx.project_id, "user_id": call.ctx.user_id}
    parts = present(asked.availability_zone, "").split(":")
    if len(parts) > 3:
        raise InvalidInput(reason="Unable to parse availability_zone")
    zone, host, node = (part or None for part in [*parts, "", ""][:3])
    if host or node:
        call.authorize(target, "os_compute_api:servers:create:forced_host")
    wanted.availability_zone, wanted.force_host, wanted.force_node = zone, host, node
    wanted.requested_host, wanted.requested_node = present(asked.host, None), present(asked.hypervisor_hostname, None)
    if wanted.requested_host or wanted.requested_node:
        call.authorize(target, "compute:servers:create:requested_destination")
        if host or node:
            raise errors.TwoDestinations
