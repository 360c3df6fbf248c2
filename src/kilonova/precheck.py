"""What components ask of their settings when they start, asked beforehand: names that must be known, URLs, folders."""

from __future__ import annotations

from pathlib import Path

from kilonova.core.config import ConfigError
from kilonova.settings import Settings


def check_all(settings: Settings) -> None:
    """Opens no connection and makes no file. Raises ConfigError with section and key."""
    # here, as no process needs the libraries of all components
    from kilonova.compute.scheduler.drivers import load_driver
    from kilonova.compute.virt.load import DRIVERS
    from kilonova.core.bus import open_bus
    from kilonova.core.cache import open_cache
    from kilonova.core.clock import Clock
    from kilonova.core.db.address import Address
    from kilonova.core.notify import open_notifier
    from kilonova.hosts import PLANES, bridge_options, plane_name
    from kilonova.image.stores import make_store
    from kilonova.network.agent.registry import check_names

    policy_dir(settings)
    try:
        open_bus(settings.bus.url, settings.bus.host_users)
        open_cache(settings.cache.url, settings.secrets.cache_secret or "made at the start")
        open_notifier(settings.notifications, settings.bus.url)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    DRIVERS[settings.agent.driver], PLANES[plane_name(settings)]
    check_names(settings.dataplane)
    if plane_name(settings) == "bridge":
        bridge_options(settings)
    for service, url in settings.database.urls().items():
        Address(url, service)
    load_driver(settings.scheduler, Clock().dice())
    make_store(settings.image.store, Path(settings.image.store_dir or settings.state_dir / "images"))


def policy_dir(settings: Settings) -> Path | None:
    """The folder of changed policies. Raises ConfigError for one that is not there: rules would be laxer than meant."""
    if not settings.cloud.policy_dir:
        return None
    folder = Path(settings.cloud.policy_dir)
    if not folder.is_dir():
        raise ConfigError(f"[cloud] policy_dir: there is no folder {folder}")
    return folder
