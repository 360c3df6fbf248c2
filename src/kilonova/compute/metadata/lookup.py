"""From a path to a guest's answer: the OpenStack tree under `openstack/`, everything else is EC2's."""

from __future__ import annotations

from kilonova.compute.virt.guest_facts import GuestFacts
from kilonova.compute.virt.personalise import ec2_tree, lookup, nested, openstack_tree


def answer(facts: GuestFacts, path: str) -> bytes | None:
    """The content, a directory's listing, or None for what isn't there. Repeated slashes count once."""
    parts = [part for part in path.split("/") if part]
    tree = nested(openstack_tree(facts)) if parts[:1] == ["openstack"] else ec2_tree(facts)
    if not parts:
        tree = ec2_tree(facts)
    return lookup(tree, "/".join(parts))
