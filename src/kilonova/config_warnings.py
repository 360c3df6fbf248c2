"""The warnings of `kilonova config check`: settings that work, but are unsafe in a cloud on a network."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, unquote, urlsplit

from kilonova.core.addresses import parse_address
from kilonova.core.bus.senders import HostUsers
from kilonova.settings import Settings

SECURE_DATABASE = "verify-full"
SAMPLE = "CHANGE-ME"


def warnings(settings: Settings) -> list[str]:
    """One line each, with section and key."""
    return [*_samples(settings), *_plain(settings), *_shared(settings)]


def _samples(settings: Settings) -> Iterator[str]:
    """Secrets that are still the published ones of the files in deploy/."""
    for name in settings.secrets.__struct_fields__:
        if SAMPLE in getattr(settings.secrets, name):
            yield f"[secrets] {name} is that of the sample; make one with: openssl rand -base64 24"
    urls = {"[bus] url": settings.bus.url} | {
        f"[database] {name}": url for name, url in settings.database.urls().items()
    }
    for key, url in urls.items():
        if (urlsplit(url).password or "").endswith("-PASSWORD"):
            yield f"{key} has the password of the sample"


def _plain(settings: Settings) -> Iterator[str]:
    """Connections to other machines that are not encrypted, or whose server's identity is not checked."""
    urls = {
        "[bus] url": (settings.bus.url, "amqp", "amqps://…?cafile=FILE"),
        "[cache] url": (settings.cache.url, "memcached", "memcacheds://…?cafile=FILE, or one on 127.0.0.1"),
        "[cloud] public_url": (settings.cloud.public_url, "http", "https://"),
    } | {
        f"[endpoints] {name}": (getattr(settings.endpoints, name), "http", "https://, with [serve] ca_file")
        for name in settings.endpoints.__struct_fields__
    }
    for key, (url, plain, right) in urls.items():
        if urlsplit(url).scheme == plain and (away := _away(url)):
            yield f"{key}: what goes to {away} is not encrypted; use {right}"
    for service, url in settings.database.urls().items():
        mode = parse_qs(urlsplit(url).query).get("sslmode", [""])[-1]
        if mode != SECURE_DATABASE and (away := _away(url)):
            yield f"[database] {service}: {away} is not authenticated as the server; use ?sslmode=verify-full&sslrootcert=FILE"
    if not _is_local(settings.serve.listen) and not settings.serve.cert_file:
        yield f"[serve] listen: clients of {settings.serve.listen} are not encrypted; set cert_file and key_file"
    if not _is_local(settings.cloud.listen) and not settings.cloud.public_url.startswith("https:"):
        yield f"[cloud] listen: clients of {settings.cloud.listen} are not encrypted; put a TLS proxy there, and set public_url"


def _shared(settings: Settings) -> Iterator[str]:
    """What compute hosts have in common with the control plane."""
    secrets, users = settings.secrets, settings.bus.host_users
    is_spread, on_host = settings.bus.url.startswith("amqp"), not settings.database.urls()
    if is_spread and not users:
        yield "[bus] host_users is not set: an attacker on one compute host can send as all others and as the control plane"
    if not is_spread:
        return
    if on_host and secrets.service_password:
        yield "[secrets] service_password: a compute host has the control plane's account, an admin; give it compute_password"
    if (
        on_host
        and users
        and HostUsers(users).sender(unquote(urlsplit(settings.bus.url).username or "")) != settings.host
    ):
        yield f"[bus] url: its user is not that of host {settings.host}, {HostUsers(users).user_of(settings.host)}"
    if on_host and secrets.metadata_secret and not secrets.metadata_secret.startswith("host:"):
        yield "[secrets] metadata_secret: a compute host has the cloud's; give it its own (kilonova keys host)"
    if not on_host:
        for name in ("compute_password", "grant_secret"):
            if not getattr(secrets, name):
                yield f"[secrets] {name} is not set: compute hosts need the control plane's account, an admin"


def _away(url: str) -> str:
    """The hosts of a URL that are other machines; "" when all are this one, or none is named."""
    places = urlsplit(url).netloc.rpartition("@")[2].split(",")
    hosts = [urlsplit(f"//{place}").hostname or "" for place in places]
    return ", ".join(host for host in hosts if host and not _is_local(host))


def _is_local(host: str) -> bool:
    try:
        return parse_address(host).is_loopback
    except ValueError:
        return host == "localhost"
