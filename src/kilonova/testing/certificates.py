"""Certificates for tests: an authority, and a server's certificate that it has signed."""

from __future__ import annotations

import subprocess
from pathlib import Path

DAYS = "2"
KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def make_certificates(folder: Path, address: str) -> None:
    """`ca.pem`, `server.pem` and `server.key` for a server at an IP address."""
    ca, key = str(folder / "ca.pem"), str(folder / "ca.key")
    _openssl(*KEY, "-x509", "-subj", "/CN=Test authority", "-keyout", key, "-out", ca)
    _openssl(
        *KEY, "-x509", "-CA", ca, "-CAkey", key, "-subj", f"/CN={address}", "-addext", f"subjectAltName=IP:{address}",
        "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", str(folder / "server.key"),
        "-out", str(folder / "server.pem"),
    )  # fmt: skip


def _openssl(*words: str) -> None:
    subprocess.run(["openssl", "req", "-days", DAYS, *words], check=True, capture_output=True, timeout=60)
