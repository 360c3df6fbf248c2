"""What of a host's state has changed, as it is written with the change."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

MOST = 100  # objects; with more, the whole state is asked for


class News(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The ids of what changed, came or went: ports (with their groups and addresses), networks (with subnets, DHCP and other
    hosts), security or address groups (with rules). `others`: something in another section."""

    ports: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    others: bool = False

    def size(self) -> int:
        return len(self.ports) + len(self.networks) + len(self.groups)


def joined(every: Iterable[News]) -> News:
    found = list(every)
    return News(
        ports=tuple(dict.fromkeys(one for news in found for one in news.ports)),
        networks=tuple(dict.fromkeys(one for news in found for one in news.networks)),
        groups=tuple(dict.fromkeys(one for news in found for one in news.groups)),
        others=any(news.others for news in found),
    )
