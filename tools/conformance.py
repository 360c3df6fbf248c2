"""Runs suites of other projects against a cloud of its own (fake driver, two hosts) and writes their results to docs/conformance,
from which the reference's page is made. `make conformance SUITES=FOLDER RUN="openstack-client tempest-first"`.

The suites are not part of this project. FOLDER holds their runners: `client_smoke.sh` (prints `PASS` or `FAIL`, seconds, a
name and a reason for each check), `run_tempest.sh` (writes `results.json` into `--out`), and the lists of tests. The
environments of the suites are named by TEMPEST_VENV, TEMPEST_PLUGINS_VENV and CLIENT_VENV."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from benchmarks.clouds import one_process
from kilonova.core.clock import SYSTEM
from tools.conformance_results import FOLDER, Result, SuiteResults

HOSTS = 2
QUOTAS = {
    **{f"KILONOVA_COMPUTE_QUOTAS_{name}": "200" for name in ("INSTANCES", "CORES", "KEY_PAIRS")},
    "KILONOVA_NETWORK_QUOTA_ROUTER": "100",
}
LINE = re.compile(r"(PASS|FAIL) +\d+s +(\S+) *(.*)")
TIMEOUT = 7200


class Suite(msgspec.Struct, kw_only=True):
    """`command`: the runner in the suites' folder and its arguments; {suites}, {image} and {out} are filled in. `package`: the
    tested suite's distribution, in the environment that the variable `venv` names, or in the usual one; the runner reads it from
    the variable `runs_in`. `read`: its output → the results."""

    title: str
    command: tuple[str, ...]
    package: str
    venv: tuple[str, str]
    runs_in: str = "TEMPEST_VENV"
    read: Callable[[str, Path], dict[str, Result]]


def _from_lines(output: str, _out: Path) -> dict[str, Result]:
    lines = [found for line in output.splitlines() if (found := LINE.match(line))]
    return {m[2]: Result("passed") if m[1] == "PASS" else Result("failed", m[3].strip()) for m in lines}


def _from_file(_output: str, out: Path) -> dict[str, Result]:
    class File(msgspec.Struct):
        tests: dict[str, Result]

    return msgspec.json.decode((out / "results.json").read_bytes(), type=File).tests


TEMPEST = ("TEMPEST_VENV", "/opt/tempest")
PLUGINS = ("TEMPEST_PLUGINS_VENV", "/opt/tempest-plugins")


def _tempest(title: str, *selection: str, package: str = "tempest", venv: tuple[str, str] = TEMPEST) -> Suite:
    return Suite(
        title=f"Tempest: {title}",
        command=("run_tempest.sh", *selection, "--create", "--only-available", "--image-file", "{image}", "--out", "{out}"),
        package=package, venv=venv, read=_from_file,
    )  # fmt: skip


def _tier_1(service: str, *more: str) -> Suite:
    return _tempest(f"{service}, tests of its first tier", "--list", f"{{suites}}/lists/{service}-tier1.txt", *more)


SUITES = {
    "openstack-client": Suite(
        title="OpenStack client, command by command",
        command=("client_smoke.sh", "--image-file", "{image}"),
        package="python-openstackclient", venv=("CLIENT_VENV", "/opt/osclients"), runs_in="CLIENT_VENV", read=_from_lines,
    ),
    "tempest-first": _tempest("first 20", "--list", "{suites}/first20.txt"),
    "tempest-identity": _tier_1("identity"),
    "tempest-image": _tier_1("image"),
    "tempest-network": _tier_1("network", "--extensions", "asked"),
    "tempest-compute": _tier_1("compute"),
    "tempest-compute-operators": _tempest(
        "compute, tests of its second tier", "--list", "{suites}/lists/compute-tier2.txt"
    ),
    "tempest-network-plugin": _tempest(
        "network, Neutron's own tests of its API", "--regex", r"^neutron_tempest_plugin\.api", "--extensions", "asked",
        package="neutron-tempest-plugin", venv=PLUGINS,
    ),
}  # fmt: skip


def run(name: str, suites: Path) -> SuiteResults:
    """Raises RuntimeError when the suite gave no result."""
    suite = SUITES[name]
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder, one_process(HOSTS, **QUOTAS) as cloud:
        work = Path(folder)
        names = {"suites": str(suites), "image": str(_image(work)), "out": str(work / "out")}
        environment = os.environ | cloud.login | {suite.runs_in: os.environ.get(*suite.venv), "HYPERVISOR_TYPE": "fake"}
        done = subprocess.run(
            [suites / suite.command[0], *(part.format(**names) for part in suite.command[1:]), "--auth-url", cloud.auth_url],
            env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False,
        )  # fmt: skip
        tests = suite.read(done.stdout, work / "out") if done.returncode not in (2, 3, 4, 5, 64, 125, 126) else {}
        if not tests:
            raise RuntimeError(f"{name} gave no result: {(done.stderr or done.stdout)[-1000:]}")
    return SuiteResults(
        title=suite.title, version=f"{suite.package} {_version(suite)}", day=SYSTEM.now().date().isoformat(),
        cloud=f"kilonova up --driver fake --fake-hosts {HOSTS}", tests=dict(sorted(tests.items())),
    )  # fmt: skip


def _image(folder: Path) -> Path:
    """A blank disk: no guest of the fake driver boots from it."""
    image = folder / "blank.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", image, "1M"], check=True, timeout=60)
    return image


def _version(suite: Suite) -> str:
    variable, usual = suite.venv
    python = Path(os.environ.get(variable, usual)) / "bin" / "python"
    code = f"import importlib.metadata as m; print(m.version({suite.package!r}))"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout.strip()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.conformance", description=__doc__)
    parser.add_argument("suites", type=Path, help="the folder of the suites' runners")
    parser.add_argument("names", nargs="*", choices=[[], *SUITES], help="suites to run; all of them unless named")
    chosen = parser.parse_args(arguments)
    for name in chosen.names or SUITES:
        results = run(name, chosen.suites.resolve())
        results.write(FOLDER / f"{name}.json")
        print(name, *(f"{count} {result}" for result, count in results.counts().items()), sep=", ")


if __name__ == "__main__":
    main()
