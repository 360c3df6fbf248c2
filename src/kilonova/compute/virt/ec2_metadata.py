"""The EC2 form of a guest's metadata, and finding one's way in any metadata tree."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kilonova.compute.virt.guest_facts import GuestFacts

BARE = re.compile(r"=|^\d+\.\d+$|^\d{4}-\d\d-\d\d$|^latest$")
EC2_VERSIONS = (
    "1.0", "2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10", "2007-12-15", "2008-02-01", "2008-09-01",
    "2009-04-04", "latest",
)  # fmt: skip

Tree = dict[str, Any]
"""A directory: name → text, bytes or another directory."""


def ec2_tree(facts: GuestFacts) -> Tree:
    """version → {"meta-data": {…}, "user-data": bytes}, as `lookup` reads it."""
    tree: Tree = {}
    for version in EC2_VERSIONS:
        tree[version] = {"meta-data": meta_data(facts, version)}
        if facts.user_data is not None:
            tree[version]["user-data"] = facts.user_data
    return tree


def meta_data(facts: GuestFacts, version: str) -> Tree:
    since: list[tuple[str, Tree]] = [
        ("1.0", {
            "ami-id": facts.ami_id,
            "ami-launch-index": str(facts.launch_index),
            "ami-manifest-path": "FIXME",  # upstream's value: there is no manifest
            "hostname": facts.hostname,
            "instance-id": facts.ec2_id,
            "local-ipv4": facts.local_ipv4,
            "reservation-id": facts.reservation_id,
            "security-groups": "\n".join(facts.security_groups),
        }),
        ("1.0", {"public-keys": _public_keys(facts)} if facts.ssh_keys else {}),
        ("2007-01-19", {
            "local-hostname": facts.hostname,
            "public-hostname": facts.hostname,
            "public-ipv4": facts.public_ipv4,
        }),
        ("2007-08-29", {"instance-type": facts.instance_type}),
        ("2007-12-15", {"block-device-mapping": dict(facts.block_devices)}),
        ("2007-12-15", {"kernel-id": facts.kernel_id} if facts.kernel_id else {}),
        ("2007-12-15", {"ramdisk-id": facts.ramdisk_id} if facts.ramdisk_id else {}),
        ("2008-02-01", {"placement": {"availability-zone": facts.availability_zone}}),
        ("2008-09-01", {"instance-action": "none"}),
    ]  # fmt: skip
    return {name: value for first, values in since if version >= first for name, value in values.items()}


def _public_keys(facts: GuestFacts) -> Tree:
    pairs = [pair for pair in facts.key_pairs if pair.type == "ssh"]
    return {f"{number}={pair.name}": {"openssh-key": pair.public_key} for number, pair in enumerate(pairs)}


def lookup(tree: Tree, path: str) -> bytes | None:
    """The file at `path`, a directory's listing (sorted names, one a line, `/` after directories), or None. Versions
    are listed without a slash, and so is a key pair `0=name`, which is entered as `0`."""
    node: Any = tree
    for part in filter(None, path.split("/")):
        if not isinstance(node, dict):
            return None
        short = {name.partition("=")[0]: name for name in node if "=" in name}
        node = node.get(part, node.get(short.get(part, "")))
    if node is None or isinstance(node, bytes):
        return node
    if isinstance(node, str):
        return node.encode()
    return "\n".join(_listed(name, node[name]) for name in sorted(node)).encode()


def _listed(name: str, value: Any) -> str:
    return f"{name}/" if isinstance(value, dict) and not BARE.search(name) else name


def nested(flat: Mapping[str, bytes]) -> Tree:
    """A flat tree (path → content) in the form `lookup` reads."""
    tree: Tree = {}
    for path, content in flat.items():
        *directories, name = path.split("/")
        node = tree
        for directory in directories:
            node = node.setdefault(directory, {})
        node[name] = content
    return tree
