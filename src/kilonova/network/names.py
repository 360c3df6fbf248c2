"""DNS names of ports and domains of networks: their form, and the whole name that an address has."""

from __future__ import annotations

import re

from kilonova.network.errors import HTTPBadRequest

LABEL = re.compile(r"[a-z0-9-]{1,63}")
LONGEST = 255


def dns_name(text: str | None, domain: str) -> str:
    """In lower case. One that ends with a dot is whole, and must be below the cloud's `domain`; raises HTTPBadRequest."""
    name = (text or "").lower()
    try:
        _check(name)
        if name.endswith("."):
            if not domain or not name.endswith(f".{domain}."):
                raise ValueError(f"a name that ends with a dot must be one below the domain of the cloud, '{domain}.'")
        elif len(name) + len(domain) + 2 > LONGEST and name:
            raise ValueError(f"with the domain '{domain}.' it exceeds the {LONGEST} character FQDN limit")
    except ValueError as why:
        raise HTTPBadRequest(
            reason=f"Invalid input for dns_name. Reason: '{name}' not a valid PQDN or FQDN. Reason: {why}."
        ) from None
    return name


def dns_domain(text: str | None) -> str:
    """In lower case, with the dot at its end; "" for none. Raises HTTPBadRequest."""
    domain = (text or "").lower()
    try:
        if domain and not domain.endswith("."):
            raise ValueError("it is not a FQDN: its last character must be a dot")
        _check(domain)
        if len(domain) > LONGEST - 2:
            raise ValueError(f"a name below it exceeds the {LONGEST} character FQDN limit")
    except ValueError as why:
        raise HTTPBadRequest(reason=f"Invalid input for dns_domain. Reason: '{domain}': {why}.") from None
    return domain


def _check(name: str) -> None:
    if not name:
        return
    trimmed = name.removesuffix(".")
    if len(trimmed) > LONGEST:
        raise ValueError(f"it exceeds the {LONGEST} character FQDN limit")
    labels = trimmed.split(".")
    for label in labels:
        if not label:
            raise ValueError("Encountered an empty component")
        if label[0] == "-" or label[-1] == "-":
            raise ValueError(f"Name '{label}' must not start or end with a hyphen")
        if not LABEL.fullmatch(label):
            raise ValueError(
                f"Name '{label}' must be 1-63 characters long, each of which can only be alphanumeric or a hyphen"
            )
    if len(labels) > 1 and labels[-1].isdecimal():
        raise ValueError(f"TLD '{labels[-1]}' must not be all numeric")


def whole_name(name: str, domain: str) -> str:
    """The name with its domain and the dot at its end; as it is where it is whole or there is no domain."""
    return name if name.endswith(".") or not domain else f"{name}.{domain.removesuffix('.')}."
