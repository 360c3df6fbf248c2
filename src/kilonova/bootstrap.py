"""The first records of a cloud: users, projects, roles, and the catalog that the settings describe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kilonova.identity.bootstrap import CatalogEntry
from kilonova.settings import SecretSettings, Settings

if TYPE_CHECKING:
    from kilonova.identity.app import IdentityService

CATALOG: tuple[tuple[str, str, str, str], ...] = (
    # type, name, service, path
    ("identity", "keystone", "identity", "/v3"),
    ("image", "glance", "image", ""),
    ("placement", "placement", "placement", ""),
    ("network", "neutron", "network", ""),
    ("compute", "nova", "compute", "/v2.1"),
    ("block-storage", "cinder", "volume", "/v3"),
    ("volumev3", "cinderv3", "volume", "/v3"),
    ("ec2", "ec2", "ec2", "/"),
)


def catalog(settings: Settings) -> list[CatalogEntry]:
    return [
        CatalogEntry(
            type=kind,
            name=name,
            public=settings.public_endpoint(service) + path,
            internal=settings.endpoint(service) + path,
            region=settings.cloud.region,
        )
        for kind, name, service, path in CATALOG
    ]


async def bootstrap(
    identity: IdentityService, settings: Settings, secrets: SecretSettings, *, reset_passwords: bool = False
) -> None:
    """Make what is missing, in a database that is migrated. Repeating it changes nothing but the catalog's URLs."""
    await identity.bootstrap(
        admin_password=secrets.admin_password,
        demo_password=secrets.demo_password,
        service_password=secrets.service_password,
        compute_password=secrets.compute_password,
        endpoints=catalog(settings),
        reset_passwords=reset_passwords,
    )
