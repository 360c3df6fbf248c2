"""Settings of the EC2 API: the section `[ec2]` of the configuration."""

from __future__ import annotations

from typing import Annotated

import msgspec

from kilonova.core.config import doc

INSTANCE_TYPES = {"t2.nano": "m1.nano", "t2.micro": "m1.tiny", "t2.small": "m1.small", "t2.medium": "m1.medium"}


class Ec2Options(msgspec.Struct, frozen=True, kw_only=True):
    instance_types: Annotated[
        dict[str, str], doc("Amazon's names of instance types, with the flavor that each stands for.")
    ] = msgspec.field(default_factory=lambda: dict(INSTANCE_TYPES))
    external_network: Annotated[
        str,
        doc(
            'Name or id of the network of addresses and of internet gateways; "": the default external one, or the only one.'
        ),
    ] = ""
