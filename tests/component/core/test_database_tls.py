"""TLS to database servers, by the same query parameters for both."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import os
import pwd
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import MetaData, text

from kilonova.core import errors
from kilonova.core.db import Database
from kilonova.testing.engines import MariaDB, PostgreSQL

ENCRYPTED = {
    "postgresql": "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
    "mysql": "SELECT variable_value FROM information_schema.session_status WHERE variable_name = 'Ssl_cipher'",
}


class SecurePostgreSQL(PostgreSQL):
    def command(self) -> list[str]:
        settings = {"ssl": "on", "ssl_cert_file": self.folder / "cert.pem", "ssl_key_file": self.folder / "key.pem"}
        return [*super().command(), *(word for key, value in settings.items() for word in ("-c", f"{key}={value}"))]


class SecureMariaDB(MariaDB):
    def command(self) -> list[str]:
        return [*super().command(), f"--ssl-cert={self.folder / 'cert.pem'}", f"--ssl-key={self.folder / 'key.pem'}"]


def certificate(folder: Path, user: str) -> None:
    """`cert.pem`, signed by itself, and `key.pem`, which is the user's."""
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "database")]), dt.datetime.now(dt.UTC)
    addresses = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + dt.timedelta(1))
        .add_extension(addresses, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    file = folder / "key.pem"
    file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    file.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(file, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)


@pytest.fixture(scope="module", params=[SecurePostgreSQL, SecureMariaDB])
def server(request: pytest.FixtureRequest, engine_folder: Path) -> Iterator[Any]:
    folder = Path(tempfile.mkdtemp(prefix="tls-", dir=engine_folder))
    folder.chmod(0o755)
    engine = request.param(folder)
    engine.folder.mkdir()
    certificate(engine.folder, engine.user)
    with engine:
        yield engine


@pytest.mark.parametrize(
    ("parameters", "encrypted"),
    [("sslmode=verify-full&sslrootcert={cert}", True), ("sslmode=require", True), ("sslmode=disable", False)],
)
async def test_a_connection_is_encrypted_as_asked(server: Any, parameters: str, encrypted: bool) -> None:
    url = await asyncio.to_thread(server.url, "tls")
    asked = parameters.format(cert=server.folder / "cert.pem")
    database = Database(f"{url}?{asked}", MetaData(), name="tls")
    async with database.reading() as connection:
        answer = (await connection.execute(text(ENCRYPTED[database.kind]))).scalar()
    assert (answer not in ("", "false")) == encrypted
    await database.close()


async def test_a_server_with_an_untrusted_certificate_is_not_used(server: Any) -> None:
    url = await asyncio.to_thread(server.url, "tls")
    for mode in ("verify-full", "verify-ca"):
        database = Database(f"{url}?sslmode={mode}", MetaData(), name="tls")
        with pytest.raises(errors.ServiceUnavailable):
            await database.check()
        await database.close()
