"""What a host may do for a server that is on it or on its way there: see core/grants.py."""

from __future__ import annotations

import msgspec

from kilonova.compute.models import Image, ServerBuild
from kilonova.compute.port_ids import port_id_for
from kilonova.core.clock import Clock
from kilonova.core.grants import LIFE, Grant, Grants


class BuildGrants:
    def __init__(self, grants: Grants, clock: Clock) -> None:
        self._grants, self._clock = grants, clock

    def granted(self, build: ServerBuild, host: str | None) -> ServerBuild:
        """The build with the grant of the host that gets it."""
        until = self._clock.now().timestamp() + LIFE
        return msgspec.structs.replace(build, grant=self._grants.sign(grant_of(build, host or "", until)))

    def held(self, text: str) -> Grant | None:
        """A grant of ours, be it old; None for anything else."""
        return self._grants.read(text, self._clock.now().timestamp())

    def renewed(self, grant: Grant) -> str:
        return self._grants.sign(msgspec.structs.replace(grant, until=self._clock.now().timestamp() + LIFE, fresh=True))


def grant_of(build: ServerBuild, host: str, until: float) -> Grant:
    """Only from what the control plane itself has recorded: `network_info` is what a host has reported."""
    server, spec = build.server, build.spec
    move, own = build.move, spec.image
    if own is not None and spec.volume_backed:  # its host reads the volume; the image's id is what users wrote to that
        own = msgspec.structs.replace(own, id="")
    others = tuple(dict.fromkeys(filter(None, (move.source, move.dest)))) if move is not None else ()
    made = [port_id_for(server.uuid, n) for n, want in enumerate(spec.networks) if want.port_id is None]
    given = [want.port_id for want in spec.networks if want.port_id is not None]
    return Grant(
        server=server.uuid,
        host=host,
        project=server.project_id,
        images=tuple(
            image
            for source in (own, spec.disk_from, spec.rescue.image if spec.rescue is not None else None)
            for image in _images(source)
        ),
        fills=(spec.snapshot.image,) if spec.snapshot is not None else (),
        networks=tuple(dict.fromkeys(want.network_id for want in spec.networks if want.network_id)),
        made=tuple(made),
        given=tuple(given),
        hosts=tuple(dict.fromkeys((host, *others))),
        until=until,
    )


def _images(image: Image | None) -> list[str]:
    if image is None:
        return []
    return [*filter(None, [image.id]), *_images(image.kernel), *_images(image.ramdisk)]
