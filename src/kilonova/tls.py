"""TLS: the authorities that this process trusts, and the certificate that it presents."""

from __future__ import annotations

import ssl

from kilonova.core.config import ConfigError
from kilonova.settings import Settings


def verify_context(settings: Settings) -> ssl.SSLContext | bool:
    """For HTTP clients: the authority of `[serve] ca_file`, else the system's. Raises ConfigError."""
    file = settings.serve.ca_file
    if not file:
        return True
    try:
        return ssl.create_default_context(cafile=file)
    except OSError as error:
        raise ConfigError(f"[serve] ca_file {file}: {error.strerror or error}") from None


def certificate(settings: Settings) -> tuple[str, str] | None:
    """For HTTP servers: the files of certificate and key; None where they speak plain HTTP. Raises ConfigError."""
    serve = settings.serve
    if bool(serve.cert_file) != bool(serve.key_file):
        raise ConfigError("[serve] cert_file and key_file go together")
    if not serve.cert_file:
        return None
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(serve.cert_file, serve.key_file)
    except OSError as error:
        raise ConfigError(f"[serve] cert_file {serve.cert_file}: {error.strerror or error}") from None
    return serve.cert_file, serve.key_file
