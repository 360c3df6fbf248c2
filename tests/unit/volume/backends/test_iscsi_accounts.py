"""Accounts of iSCSI targets: there is never a moment in which a target asks for no password, or takes one that is void."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from kilonova.core.block.errors import DiskError
from kilonova.volume.backends.iscsi import orders
from kilonova.volume.backends.iscsi.target import Target, TargetDaemon


def target(*users: str) -> Target:
    accounts = dict.fromkeys(users, "secret")
    return Target(name="iqn.x:v", path="/v", listen="127.0.0.1", port=1, writable=True, accounts=accounts)


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TargetDaemon:
    """One that serves the user `old`."""
    made = TargetDaemon(tmp_path / "v")
    made._note(target("old"))
    made._whole.touch()
    monkeypatch.setattr(TargetDaemon, "pid", lambda _: os.getpid())
    monkeypatch.setattr(TargetDaemon, "end", lambda _: pytest.fail("it was ended"))
    return made


def test_new_accounts_come_before_old_ones_go(daemon: TargetDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    held = {"old"}

    def order(_path: Path, operation: int, mode: int, words: str, **_: Any) -> None:
        user = words.partition("user=")[2].partition(",")[0]
        if mode == orders.ACCOUNT and operation in (orders.BIND, orders.UNBIND):
            held.add(user) if operation == orders.BIND else held.discard(user)
        assert held

    monkeypatch.setattr(orders, "order", order)
    daemon.serve(target("new"))
    assert held == {"new"}


def test_a_change_that_fails_leaves_no_old_account(daemon: TargetDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    def order(*_: Any, **__: Any) -> None:
        raise DiskError("tgtd does not answer")

    done: list[Any] = []
    monkeypatch.setattr(orders, "order", order)
    monkeypatch.setattr(TargetDaemon, "end", lambda _: done.append("ended"))
    monkeypatch.setattr(TargetDaemon, "_start", lambda _, wanted: done.append(sorted(wanted.accounts)))
    daemon.serve(target("new"))
    assert done == ["ended", ["new"]]
