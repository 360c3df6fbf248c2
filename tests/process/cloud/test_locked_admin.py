"""Strangers can lock the user admin for a while; what an operator types on the cloud's own machine works all the same."""

from __future__ import annotations

import subprocess
import sys

import httpx

from kilonova.identity.options import IdentityOptions
from tests.process.cloud.harness import DOMAIN, CloudProcess


def test_a_locked_admin_keeps_no_operator_out(scratch_cloud: CloudProcess) -> None:
    scratch_cloud.start()
    user = {"name": "admin", "domain": DOMAIN, "password": "wrong"}
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}}
    for _ in range(IdentityOptions().lockout_failure_attempts):
        assert httpx.post(f"{scratch_cloud.url}/identity/v3/auth/tokens", json=body).status_code == 401
    command = [sys.executable, "-m", "kilonova", "verify", "--state", str(scratch_cloud.state)]
    verified = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert verified.returncode == 0, verified.stdout + verified.stderr
