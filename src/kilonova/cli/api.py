"""The running cloud as its admin sees it: what `trace`, `explain` and `verify` ask."""

from __future__ import annotations

from typing import Any

import httpx

from kilonova.cli.common import running
from kilonova.cli.credentials import login, password_of
from kilonova.core.errors import CannotStart
from kilonova.identity.service_account import CONTROL_USER
from kilonova.settings import Settings
from kilonova.tls import verify_context


class Admin:
    """A logged-in admin. Raises CannotStart with advice when there is no cloud to ask."""

    def __init__(self, settings: Settings) -> None:
        alive = running(settings.state_dir)
        if alive is None and not settings.is_spread:
            raise CannotStart(
                f"no cloud runs from {settings.state_dir}: run `kilonova up --detach` first; or name with --config a file "
                "whose [endpoints] are those of a running cloud"
            )
        self._base = (f"{alive.url}/{{}}".format) if alive is not None else settings.endpoint
        self._http = httpx.Client(timeout=60, trust_env=False, verify=verify_context(settings))
        self._headers: dict[str, str] = {}
        # the control plane's own account where its password is known: wrong passwords of others can't lock it
        auth = login(settings, CONTROL_USER if password_of(settings, CONTROL_USER) else "admin")
        domain = {"name": "Default"}
        user = {"name": auth["username"], "domain": domain, "password": auth["password"]}
        body = {
            "auth": {
                "identity": {"methods": ["password"], "password": {"user": user}},
                "scope": {"project": {"name": auth["project_name"], "domain": domain}},
            }
        }
        answer = self._send("POST", self._base("identity") + "/v3/auth/tokens", json=body)
        if answer.status_code != 201:
            where = self._base("identity")
            raise CannotStart(f"identity at {where} refused the password of {auth['username']}: {answer.text[:200]}")
        self._headers = {
            "X-Auth-Token": answer.headers["x-subject-token"],
            "OpenStack-API-Version": "compute 2.90",
            "Accept": "application/json",
        }

    def _url(self, path: str) -> str:
        _, service, rest = path.split("/", 2)
        return f"{self._base(service)}/{rest}"

    def _send(self, method: str, url: str, *, json: Any = None) -> httpx.Response:
        try:
            return self._http.request(method, url, headers=self._headers, json=json)
        except httpx.TransportError as error:
            raise CannotStart(f"{url} does not answer: {error}") from None

    def get(self, path: str) -> Any:
        """The JSON at `path`, which begins with the service's name."""
        answer = self._send("GET", self._url(path))
        if answer.status_code >= 300:
            raise CannotStart(f"GET {path}: {answer.status_code} {answer.text[:300]}")
        return answer.json()

    def server(self, name_or_id: str) -> dict[str, Any]:
        """A server of any project by id or exact name."""
        direct = self._send("GET", self._url(f"/compute/v2.1/servers/{name_or_id}"))
        if direct.status_code == 200:
            found: dict[str, Any] = direct.json()["server"]
            return found
        servers = self.get("/compute/v2.1/servers/detail?all_tenants=1&soft_deleted=1")["servers"]
        named = [server for server in servers if server["name"] == name_or_id]
        if len(named) != 1:
            what = "there is no server" if not named else f"{len(named)} servers; give the id, not the name:"
            raise CannotStart(f"{what} {name_or_id!r}")
        return dict(named[0])
