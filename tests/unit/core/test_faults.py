"""Fault points: any process can be killed, failed or delayed at a named step."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from kilonova.core.config import ConfigError
from kilonova.core.faults import Faults, InjectedFault
from tests.eventually import until


def faults(text: str) -> Faults:
    return Faults.from_env({"KILONOVA_FAULTS": text})


async def hits(faults: Faults, *points: tuple[Any, ...], **more: Any) -> int:
    struck = 0
    for point in points:
        try:
            await faults.point(*point, **more)
        except InjectedFault:
            struck += 1
    return struck


async def test_nothing_strikes_without_rules() -> None:
    assert Faults.from_env({}).rules == []
    assert faults(" ; ").rules == []
    await faults("").point("image", "before")


async def test_a_fault_happens_at_its_step_and_moment_as_often_as_configured() -> None:
    assert await hits(faults("step=image,when=after,do=fail"), *[("image", "after")] * 3) == 1
    assert await hits(faults("step=image, when=after, do=fail, count=2"), *[("image", "after")] * 3) == 2
    assert await hits(faults("step=image,when=after,do=fail"), ("image", "before"), ("plug", "after")) == 0
    with pytest.raises(InjectedFault, match="injected fault after step image"):
        await faults("step=image,when=after,do=fail").point("image", "after")


async def test_a_rule_for_one_host() -> None:
    rule = "step=image,when=before,do=fail,host=node-2"
    assert await hits(faults(rule), ("image", "before"), host="node-1") == 0
    assert await hits(faults(rule), ("image", "before"), host="node-2") == 1
    assert await hits(faults("step=image,when=before,do=fail"), ("image", "before"), host="any") == 1


async def test_several_rules() -> None:
    both = faults("step=image,when=before,do=fail;step=plug,when=after,do=fail")
    assert await hits(both, ("image", "before"), ("plug", "after")) == 2


async def test_delay_and_hang() -> None:
    began = time.monotonic()
    await faults("step=image,when=before,do=delay:0.05").point("image", "before")
    assert 0.04 < time.monotonic() - began < 20
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(faults("step=image,when=before,do=hang").point("image", "before"), 0.05)


async def test_a_gate_holds_everyone_until_it_is_opened(tmp_path: Path) -> None:
    gate, reached = tmp_path / "gate", tmp_path / "gate.reached"
    gated = faults(f"step=image,when=before,do=wait:{gate}")
    standing = [asyncio.ensure_future(gated.point("image", "before")) for _ in range(2)]
    await until(reached.exists, pause=0)
    assert reached.read_text() == str(os.getpid())
    assert not any(task.done() for task in standing)
    gate.touch()
    await asyncio.gather(*standing)
    await gated.point("image", "before")


def test_kill_leaves_no_time_for_anything() -> None:
    code = (
        "import asyncio, os; from kilonova.core.faults import Faults\n"
        "try: asyncio.run(Faults.from_env(os.environ).point('image', 'before'))\n"
        "finally: print('cleaned up', flush=True)"
    )
    env = {"KILONOVA_FAULTS": "step=image,when=before,do=kill"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, timeout=120, check=False)
    assert done.returncode == -9
    assert done.stdout == b""


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("networking", "networking"),
        ("step=networking", "when"),
        ("step=networking,when=after", "do"),
        ("step=networking,when=after,do=explode", "do=explode"),
        ("step=networking,when=later,do=kill", "when=later"),
        ("step=networking,when=after,do=kill,count=many", "float"),
        ("step=networking,when=after,do=kill,hots=a", "hots"),
        ("step=networking,when=after,do=delay:soon", "delay:soon"),
        ("step=networking,when=after,do=kill:9", "kill:9"),
        ("step=networking,when=after,do=wait", "do=wait"),
    ],
)
def test_a_wrong_text_is_refused_at_once(text: str, names: str) -> None:
    with pytest.raises(ConfigError, match="KILONOVA_FAULTS") as caught:
        faults(text)
    assert names in str(caught.value)
