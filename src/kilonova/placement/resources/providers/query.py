"""The query of the list of resource providers, decoded."""

from __future__ import annotations

import re
from uuid import UUID

import msgspec

from kilonova.core import errors
from kilonova.core.web.call import Call
from kilonova.core.web.wire import Version
from kilonova.placement.errors import InvalidResourceClass
from kilonova.placement.resources.parameters import InvalidParameters, check_known
from kilonova.placement.resources.providers.logic import check_class

PROVIDERS = {
    "name": "1.0",
    "uuid": "1.0",
    "member_of": "1.3",
    "resources": "1.4",
    "in_tree": "1.14",
    "required": "1.18",
}
TRAIT = re.compile(r"(COMPUTE|HW|MISC|OWNER|STORAGE)_[A-Z0-9_]{1,250}")  # the namespaces of the standard ones
FORM = (
    "Badly formed resources parameter. Expected resources query string parameter in form: "
    "?resources=VCPU:2,MEMORY_MB:1024."
)
MAX_CLASSES, MAX_AMOUNT = 100, (1 << 31) - 1


class ProviderQuery(msgspec.Struct):
    """What a list of providers is limited to: `in_tree` names any provider of a tree, `resources` what one has room for.
    `nothing`: what no provider has is required. Traits and aggregates belong to no provider here."""

    uuid: str | None = None
    name: str | None = None
    in_tree: str | None = None
    resources: dict[str, int] = {}
    nothing: bool = False


def read_providers(call: Call) -> ProviderQuery:
    check_known(call, PROVIDERS)
    query = ProviderQuery(name=call.query.get("name"))
    for field in ("uuid", "in_tree"):
        if (text := call.query.get(field)) is not None:
            setattr(query, field, _uuid(text, f"{text!r} is not a 'uuid'"))
    if (text := call.query.get("resources")) is not None:
        query.resources = _resources(text)
    query.nothing = _aggregates(call) | _traits(call)
    return query


def _uuid(text: str, problem: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise InvalidParameters(reason=problem) from None


def _resources(text: str) -> dict[str, int]:
    wanted: dict[str, int] = {}
    for item in text.split(","):
        name, colon, amount = item.partition(":")
        if not colon:
            raise errors.BadRequest(f"{FORM} Got: {item or 'empty string'}.")
        digits = amount.removeprefix("-")
        if not (digits.isascii() and digits.isdecimal()):
            raise errors.BadRequest(f"Requested resource {name} expected positive integer amount. Got: {amount}.")
        if amount != digits or not digits.strip("0"):
            raise errors.BadRequest(f"Requested resource {name} requires amount >= 1. Got: {amount}.")
        try:
            check_class(name)
        except InvalidResourceClass as error:
            raise errors.BadRequest(f"Invalid resource class in resources parameter: {error.message}") from None
        wanted[name] = int(digits) if len(digits) < 11 else MAX_AMOUNT + 1
    if len(wanted) > MAX_CLASSES:
        raise errors.BadRequest(f"{FORM} Got more than {MAX_CLASSES} resource classes.")
    return wanted


def _aggregates(call: Call) -> bool:
    """Whether membership in an aggregate is required."""
    version, texts = call.version or Version(1, 0), call.query.getall("member_of", [])
    if len(texts) > 1 and version < Version(1, 24):
        raise errors.BadRequest("Multiple member_of parameters are not supported")
    required = False
    for text in texts:
        forbidden = text.startswith("!")
        if forbidden and version < Version(1, 32):
            raise errors.BadRequest("Forbidden member_of parameters are not supported in the specified microversion")
        several = text.removeprefix("!").startswith("in:")
        if "," in text and not several:
            raise errors.BadRequest(
                "Multiple values for 'member_of' must be prefixed with the 'in:' or '!in:' keyword using the valid "
                f"microversion. Got: {text}"
            )
        for name in text.removeprefix("!").removeprefix("in:").split(","):
            _uuid(name, f"Expected 'member_of' parameter to contain valid UUID(s). Got: {name}")
        required |= not forbidden
    return required


def _traits(call: Call) -> bool:
    """Whether a trait is required."""
    version, texts = call.version or Version(1, 0), call.query.getall("required", [])
    required = False
    for text in texts if version >= Version(1, 39) else texts[-1:]:
        several = text.startswith("in:")
        names = [name.strip() for name in text.removeprefix("in:").split(",")]
        refused = [name for name in names if name.startswith("!")]
        if several and (version < Version(1, 39) or refused):
            raise InvalidParameters(
                reason="The format 'in:HW_CPU_X86_VMX,CUSTOM_MAGIC' is there since microversion 1.39, without '!'. "
                f"Got: {text}"
            )
        if refused and version < Version(1, 22):
            raise InvalidParameters(
                reason=f"Expected 'required' parameter value of the form: HW_CPU_X86_VMX,CUSTOM_MAGIC. Got: {text}"
            )
        bare = [name.lstrip("!") for name in names]
        if not all(bare):
            raise InvalidParameters(
                reason="Expected 'required' parameter value of the form: HW_CPU_X86_VMX,!CUSTOM_MAGIC. "
                f"Got an empty trait in: {text}"
            )
        if unknown := sorted(name for name in bare if not TRAIT.fullmatch(name)):
            raise errors.BadRequest(
                f'Invalid trait(s) in "required" parameter: No such trait(s): {", ".join(unknown)}.'
            )
        required |= len(refused) < len(names)
    return required
