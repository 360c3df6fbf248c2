"""`kilonova ec2`: what Amazon's clients need to log in."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import httpx
import typer

from kilonova.cli.common import CONFIG, STATE, running, settings_of
from kilonova.cli.credentials import USERS, authority, login
from kilonova.core.errors import CannotStart
from kilonova.settings import Settings
from kilonova.tls import verify_context

app = typer.Typer(help="Keys and endpoint for clients of Amazon's EC2.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """So that the one command keeps its name."""


@app.command()
def credentials(
    user: str = typer.Argument("demo", help="admin or demo"),
    state: Path | None = STATE,
    config: Path | None = CONFIG,
) -> None:
    """Print shell exports for boto3, the AWS command line and Terraform: eval "$(kilonova ec2 credentials)". A user's key is made
    when there is none yet."""
    if user not in USERS:
        raise typer.BadParameter(f"there are {' and '.join(USERS)}, not {user}")
    settings = settings_of(state, config)
    alive = running(settings.state_dir)
    endpoint = f"{alive.url}/ec2" if alive else settings.public_endpoint("ec2")
    for key, value in (exports(settings, user) | {"AWS_ENDPOINT_URL_EC2": f"{endpoint}/"}).items():
        typer.echo(f"export {key}={shlex.quote(value)}")
    if file := authority(settings):
        typer.echo(f"export AWS_CA_BUNDLE={shlex.quote(file)}")


def exports(settings: Settings, user: str) -> dict[str, str]:
    auth = login(settings, user)
    with httpx.Client(timeout=60, trust_env=False, verify=verify_context(settings)) as http:
        domain = {"name": "Default"}
        who = {"name": auth["username"], "domain": domain, "password": auth["password"]}
        scope = {"project": {"name": auth["project_name"], "domain": domain}}
        identity = {"methods": ["password"], "password": {"user": who}}
        answer = _ask(http, "POST", f"{auth['auth_url']}/auth/tokens", {"auth": {"identity": identity, "scope": scope}})
        token, http.headers["X-Auth-Token"] = answer.json()["token"], answer.headers["x-subject-token"]
        path = f"{auth['auth_url']}/users/{token['user']['id']}/credentials/OS-EC2"
        project = token["project"]["id"]
        known = [each for each in _ask(http, "GET", path).json()["credentials"] if each["tenant_id"] == project]
        keys = known[0] if known else _ask(http, "POST", path, {"tenant_id": project}).json()["credential"]
    return {
        "AWS_ACCESS_KEY_ID": keys["access"], "AWS_SECRET_ACCESS_KEY": keys["secret"],
        "AWS_DEFAULT_REGION": settings.cloud.region,
    }  # fmt: skip


def _ask(http: httpx.Client, method: str, url: str, body: Any = None) -> httpx.Response:
    try:
        answer = http.request(method, url, json=body)
    except httpx.TransportError as error:
        raise CannotStart(f"{url} does not answer: {error}") from None
    if answer.status_code >= 300:
        raise CannotStart(f"{method} {url}: {answer.status_code} {answer.text[:200]}")
    return answer
