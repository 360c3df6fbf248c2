"""Nothing that looks like a secret leaves as text."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from kilonova.core import log
from kilonova.core.context import RequestContext

SECRET = "hunter2-very-secret"
TOKEN = "gAAAAABmX0kq" + "aB3-_" * 10 + "=="
HIDING: list[Any] = [
    {"password": SECRET},
    {"adminPass": SECRET},
    {"admin_pass": SECRET},
    {"os_passwd": SECRET},
    {"X-Auth-Token": SECRET},
    {"authorization": f"Basic {SECRET}"},
    {"user_data": SECRET},
    {"metadata_secret": SECRET},
    {"private_key": SECRET},
    {"credentials": [SECRET]},
    {"auth": {"identity": {"password": {"user": {"password": SECRET}}}}},
    {"body": {"server": {"list": [{"adminPass": SECRET}, ({"token": {"id": SECRET}},)]}}},
    f"postgresql://kilonova:{SECRET}@db.example:5432/x",
    f"redis://:{SECRET}@cache",
    f"amqp://guest:a@b{SECRET}@rabbit/vhost and more",
    f"could not reach http://user:{SECRET}/x@proxy",
    ["deep", {"er": f"mysql://u:{SECRET}@h"}],
    ValueError(f"postgresql://u:{SECRET}@h"),
    f"could not log in with password={SECRET}",
    ValueError({"server": {"adminPass": SECRET, "name": "x"}}),
    KeyError(f'{{"user_data": "{SECRET}"}}'),
    RuntimeError(f"Authorization: {SECRET}"),
    f"[SQL: INSERT INTO t (a) VALUES (?)]\n[parameters: ('{SECRET}', 1)]\n(Background on this error at: https://sqlalche.me/e/20/gkpj)",
    f'duplicate key value violates unique constraint "t_a"\nDETAIL:  Key (a)=({SECRET}) already exists.',
    f"DETAIL:  Failing row contains (1, {SECRET}, null).",
    f"(1062, \"Duplicate entry '{SECRET}' for key 'a'\")",
    f"invalid input for query argument $2: '{SECRET}' ('str' object cannot be interpreted as an integer)",
    f"(1366, \"Incorrect integer value: '{SECRET}' for column `x`.`t`.`a` at row 1\")",
    f'invalid input syntax for type integer: "{SECRET}"',
    f"amqp://u:{SECRET}@h".encode(),
    RequestContext(request_id="r", token=SECRET),
    {"ctx": [RequestContext(request_id="r", token=SECRET)]},
]


@pytest.mark.parametrize("value", HIDING, ids=repr)
def test_secrets_are_hidden_at_any_depth(value: Any) -> None:
    shown = repr(log.redact(value))
    assert SECRET not in shown
    assert log.HIDDEN in shown


def test_what_is_no_secret_stays() -> None:
    plain = {
        "user": "demo", "url": "http://host:8774/v2.1/servers?x=1", "list": [1, 2.5, None, True], "token": None,
        "password": "", "note": "mail me: a@b.example", "pair": ("a", {"b": "c"}),
    }  # fmt: skip
    assert log.redact(plain) == plain
    assert log.redact("postgresql://kn:x@db/compute") == "postgresql://kn:***@db/compute"
    assert log.redact("DETAIL: Key (a)=(b) already exists.\nnext") == "DETAIL: Key (a)=***\nnext"
    assert log.redact(f"token {TOKEN} refused") == "token *** refused"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=12,
    ),
    st.sampled_from(["password", "token", "adminPass", "secret_key"]),
)
def test_however_it_is_wrapped(around: Any, key: str) -> None:
    """Redaction never fails, never shows the secret, and leaves its own output alone."""
    value = {"a": [around, {key: SECRET, "text": f"x {TOKEN} y"}], "b": around}
    shown = log.redact(value)
    assert SECRET not in repr(shown)
    assert TOKEN not in repr(shown)
    assert log.redact(shown) == shown


@pytest.fixture
def fresh_logging() -> Any:
    root = logging.getLogger()
    kept = root.handlers[:], root.level, structlog.get_config()
    yield
    root.handlers[:], root.level = kept[0], kept[1]
    structlog.configure(**kept[2])


@pytest.mark.parametrize("json", [True, False])
def test_what_reaches_stderr(json: bool, fresh_logging: None, capsys: pytest.CaptureFixture[str]) -> None:
    log.configure(level="info", json=json)
    logger = log.get("test")
    try:
        password = SECRET
        raise ValueError(f"no route to postgresql://kn:{password}@db with {TOKEN}")
    except ValueError as error:
        logger.exception("it failed", password=SECRET)
        logger.error("it failed again", error=error)
        logging.getLogger("someone.else").error("by the library", exc_info=error)
        logging.getLogger("someone.else").error("token %s", TOKEN)
    logger.info("ctx", ctx=RequestContext(request_id="r", token=SECRET))
    logger.debug("not shown")
    shown = capsys.readouterr().err
    assert "it failed" in shown
    assert "ValueError" in shown
    assert "by the library" in shown
    assert SECRET not in shown
    assert TOKEN not in shown
    assert "not shown" not in shown
    if json:
        assert [msgspec.json.decode(line)["level"] for line in shown.splitlines()] == ["error"] * 4 + ["info"]
