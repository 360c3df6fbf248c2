"""Keys themselves: checking, fingerprints, generation. Blocking; nothing here touches the database."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import re
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kilonova.compute.resources.key_pairs import errors

RSA_BITS = 2048
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")


class Generated(NamedTuple):
    private_key: str
    public_key: str


def fingerprint(kind: str, public_key: str) -> str:
    """Raises InvalidKeyPair unless the text is an SSH public key, or an X.509 certificate in PEM."""
    return _x509_fingerprint(public_key) if kind == "x509" else _ssh_fingerprint(public_key)


def _ssh_fingerprint(public_key: str) -> str:
    text = public_key.strip()
    words = text.split(None, 2)
    if (why := _unlike_ssh(text, words)) is not None:
        raise errors.InvalidKeyPair(reason=f"failed to generate fingerprint: {why}")
    try:
        serialization.load_ssh_public_key(f"{words[0]} {words[1]}".encode())
        blob = base64.b64decode(words[1], validate=True)
    except UnsupportedAlgorithm:
        raise errors.InvalidKeyPair(
            reason=f"failed to generate fingerprint: keys of type {words[0][:40]} are not supported"
        ) from None
    except ValueError:
        raise errors.InvalidKeyPair(
            reason=f"failed to generate fingerprint: public_key says {words[0][:40]}, and its second word is not the base 64 of "
            "such a key; it may be cut off"
        ) from None
    return _colons(hashlib.md5(blob, usedforsecurity=False).hexdigest())


def _unlike_ssh(text: str, words: list[str]) -> str | None:
    """Why a text can't be an SSH public key, without a word of it: it may be a secret."""
    if "PRIVATE KEY-----" in text:
        return "public_key holds a private key; give the public one, such as the content of id_ed25519.pub"
    if text.startswith("-----BEGIN "):
        return "public_key is in PEM; give one line that begins with its type, such as ssh-ed25519"
    if len(words) < 2:
        return "public_key is not a type such as ssh-ed25519 and a key in base 64"
    if len(text.splitlines()) > 1 or CONTROL.search(text):
        return "public_key has several lines, or control characters"
    return None


def _x509_fingerprint(certificate: str) -> str:
    try:
        loaded = x509.load_pem_x509_certificate(certificate.encode())
    except ValueError:
        raise errors.InvalidKeyPair(
            reason="failed to generate X509 fingerprint. Error message: public_key is not a certificate in PEM"
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
