"""The running cloud as its admin sees it: what `trace`, `explain` and `verify` ask."""

from __future__ import annotations

from typing import Any

import httpx
import typer

from kilonova.cli.common import running
from kilonova.cli.credentials import login
from kilonova.settings import Settings


class Admin:
    """A logged-in admin. Raises typer.BadParameter with advice when there is no cloud to ask."""

    def __init__(self, settings: Settings) -> None:
        alive = running(settings.state_dir)
        if alive is None:
            raise typer.BadParameter(f"no cloud runs from {settings.state_dir}: run `kilonova up --detach` first")
        self.url = alive.url
        self._http = httpx.Client(timeout=60, trust_env=False)
        auth = login(settings, "admin")
        domain = {"name": "Default"}
        user = {"name": auth["username"], "domain": domain, "password": auth["password"]}
        body = {
            "auth": {
                "identity": {"methods": ["password"], "password": {"user": user}},
                "scope": {"project": {"name": auth["project_name"], "domain": domain}},
            }
        }
        answer = self._http.post(auth["auth_url"] + "/auth/tokens", json=body)
        if answer.status_code != 201:
            raise typer.BadParameter(f"the cloud at {self.url} refused the admin's password: {answer.text[:200]}")
        self._headers = {
            "X-Auth-Token": answer.headers["x-subject-token"],
            "OpenStack-API-Version": "compute 2.90",
            "Accept": "application/json",
        }

    def get(self, path: str) -> Any:
        """The JSON at `path`, which begins with the service's prefix."""
        answer = self._http.get(self.url + path, headers=self._headers)
        if answer.status_code >= 300:
            raise typer.BadParameter(f"GET {path}: {answer.status_code} {answer.text[:300]}")
        return answer.json()

    def server(self, name_or_id: str) -> dict[str, Any]:
        """A server of any project by id or exact name."""
        direct = self._http.get(f"{self.url}/compute/v2.1/servers/{name_or_id}", headers=self._headers)
        if direct.status_code == 200:
            found: dict[str, Any] = direct.json()["server"]
            return found
        servers = self.get("/compute/v2.1/servers/detail?all_tenants=1")["servers"]
        named = [server for server in servers if server["name"] == name_or_id]
        if len(named) != 1:
            what = "no server" if not named else f"{len(named)} servers; give the id, not the name:"
            raise typer.BadParameter(f"{what} {name_or_id!r}")
        return dict(named[0])
