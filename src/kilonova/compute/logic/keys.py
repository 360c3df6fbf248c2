"""Keys themselves: checking, fingerprints, generation. Blocking; nothing here touches the database."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kilonova.compute import errors

RSA_BITS = 2048


class Generated(NamedTuple):
    private_key: str
    public_key: str


def fingerprint(kind: str, public_key: str) -> str:
    """Raises InvalidKeyPair unless the text is an SSH public key, or an X.509 certificate in PEM."""
    return _x509_fingerprint(public_key) if kind == "x509" else _ssh_fingerprint(public_key)


def _ssh_fingerprint(public_key: str) -> str:
    words = public_key.strip().split(None, 2)
    if "\n" in public_key.strip() or len(words) < 2:
        raise errors.InvalidKeyPair(reason="failed to generate fingerprint")
    try:
        serialization.load_ssh_public_key(f"{words[0]} {words[1]}".encode())
        blob = base64.b64decode(words[1], validate=True)
    except (ValueError, UnsupportedAlgorithm):
        raise errors.InvalidKeyPair(reason="failed to generate fingerprint") from None
    return _colons(hashlib.md5(blob, usedforsecurity=False).hexdigest())


def _x509_fingerprint(certificate: str) -> str:
    try:
        loaded = x509.load_pem_x509_certificate(certificate.encode())
    except ValueError:
        raise errors.InvalidKeyPair(
            reason="failed to generate X509 fingerprint. Error message: not a certificate"
        ) from None
    return _colons(loaded.fingerprint(hashes.SHA1()).hex())  # noqa: S303 - the form clients know


def _colons(digest: str) -> str:
    return ":".join(digest[n : n + 2] for n in range(0, len(digest), 2))


def generate(kind: str, user_id: str, now: dt.datetime) -> Generated:
    """A new RSA key; for x509 with a certificate in its own name, ten years long."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8 if kind == "x509" else serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()
    if kind == "ssh":
        public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        return Generated(private, f"{public.decode()} Generated-by-Kilonova")
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, user_id[:64])])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=3650))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Generated(private, certificate.public_bytes(serialization.Encoding.PEM).decode())
