"""`python -m benchmarks.peer`: the same load client against a real OpenStack and against Kilonova, in turn, on one machine.

The scripts that set up and start that OpenStack lie in `KILONOVA_PEER` (default: ../shared/peer; its README describes them).
Both clouds have five hosts with the fake driver; ours runs as one process, and spread over RabbitMQ and PostgreSQL.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.clouds import CLIENT, distributed, measured, one_process
from benchmarks.results import folder_of

SCRIPTS = Path(os.environ.get("KILONOVA_PEER", "../shared/peer")).resolve()
HOSTS, SERVERS, AT_ONCE = 5, 50, 10
OPTIONS = (
    "-n", str(SERVERS), "-c", str(AT_ONCE), "-k", str(SERVERS), "--network", "none", "--seq-poll", "0.005", "--poll", "0.05",
)  # fmt: skip


class Measure(NamedTuple):
    what: str
    unit: str
    read: Callable[[dict[str, Any]], float]
    more_is_better: bool = False


MEASURES = (
    Measure(f"launches to ACTIVE, N={SERVERS} C={AT_ONCE}", "/s", lambda f: _median(f["boot"], "launches_per_s"), True),
    Measure(f"one request for {SERVERS}, until all ACTIVE", "s", lambda f: _median(f["multi"], "all_active_s")),
    Measure("one launch, POST p50", "ms", lambda f: f["seq"]["post_accept"]["p50_ms"]),
    Measure("one launch, ACTIVE p50", "ms", lambda f: f["seq"]["time_to_active"]["p50_ms"]),
    Measure(
        f"GET /servers/detail, {SERVERS} servers, p50",
        "ms",
        lambda f: f["lists"]["servers_detail"]["sequential"]["p50_ms"],
    ),
    Measure("token by password, p50", "ms", lambda f: f["token"]["sequential"]["p50_ms"]),
)


def _median(runs: list[dict[str, Any]], name: str) -> float:
    return statistics.median(run[name] for run in runs)


@contextmanager
def openstack() -> Iterator[dict[str, str]]:
    """A running one; the environment that clients need."""
    root = _shell(f". {SCRIPTS}/env.sh; echo $ETC").strip()
    if not Path(root, "openrc").exists():
        _shell(f"{SCRIPTS}/setup.sh; {SCRIPTS}/stop.sh")
    _shell(f"PEER_COMPUTES={HOSTS} {SCRIPTS}/start.sh")
    try:
        lines = _shell(f". {root}/openrc; env").splitlines()
        yield dict(line.split("=", 1) for line in lines if line.startswith("OS_"))
    finally:
        _shell(f"{SCRIPTS}/stop.sh")


def _shell(script: str) -> str:
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=3600, check=False)
    if done.returncode:
        raise RuntimeError(f"{script}: {(done.stderr or done.stdout)[-500:]}")
    return done.stdout


def main(
    rounds: int = typer.Option(3, min=1, help="Samples of the launches per second."),
    out: Path = typer.Option(Path("benchmarks/results"), help="Folder of the JSON file."),
) -> None:
    """Measure both, and print what ours takes of theirs."""
    options = (*OPTIONS, "--repeat", str(rounds), "--phases", "token,lists,seq,boot,multi")
    found: dict[str, dict[str, Any]] = {}
    with openstack() as login:
        found["OpenStack"] = measured(login, *options)
    for name, cloud in (("one process", one_process(HOSTS)), ("distributed", distributed(HOSTS))):
        with cloud as running:
            found[name] = running.client(*options)
    file = folder_of(out) / "peer.json"
    file.write_text(json.dumps(found, indent=1))
    console, table = Console(), Table(title=f"{CLIENT.name} {' '.join(OPTIONS)}", title_justify="left")
    for heading in ("what", *found, "OpenStack : one process"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    for measure in MEASURES:
        values = [measure.read(result) for result in found.values()]
        theirs, ours = values[0], values[1]
        ratio = ours / theirs if measure.more_is_better else theirs / ours
        table.add_row(measure.what, *(f"{value:.3g} {measure.unit}" for value in values), f"{ratio:.1f} ×")
    console.print(table)
    console.print(f"[dim]{file}[/dim]")


if __name__ == "__main__":
    typer.run(main)
