"""Results of other projects' test suites: files in docs/conformance, and the page of the reference that is made from them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

FOLDER = Path(__file__).parents[1] / "docs" / "conformance"
KINDS: tuple[Literal["passed", "failed", "skipped"], ...] = ("passed", "failed", "skipped")
ALIKE = [
    (
        re.compile(
            r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b|\b[0-9a-f]{32}\b|\b(?:tempest|smoke)[\w.-]*\d[\w.-]*"
        ),
        "…",
    ),
    (re.compile(r"^(setUpClass: )?Details: "), r"\1"),
    (re.compile(r"^\w+Exception: (\d+): \w+ Error for url: \S+, "), r"\1: "),
    (re.compile(r"^blocked by .*"), "needs a command that failed"),
    (re.compile(r"^\w+ (?=skipped as )"), ""),
]
"""What differs between reasons that a row of the page shows as one."""
LONGEST = 160  # characters of a reason
NAMED = 3  # tests that a row names


class Result(msgspec.Struct, frozen=True, omit_defaults=True):
    """`why`: the reason of a test that failed or was skipped, as the suite reports it."""

    result: Literal["passed", "failed", "skipped"]
    why: str = ""


class SuiteResults(msgspec.Struct, kw_only=True):
    """One run of a suite. `cloud`: the command that started the cloud; `day`: ISO date of the run."""

    title: str
    version: str
    day: str
    cloud: str
    tests: dict[str, Result]

    def write(self, file: Path) -> None:
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n")

    def counts(self) -> dict[str, int]:
        found = Counter(test.result for test in self.tests.values())
        return {kind: found[kind] for kind in KINDS}

    def reasons(self, kind: str) -> Iterator[tuple[str, Sequence[str]]]:
        """Reason → the tests that it is given for, the most frequent first."""
        by_reason: dict[str, list[str]] = {}
        for name, test in self.tests.items():
            if test.result == kind:
                by_reason.setdefault(_reason(test.why), []).append(name)
        yield from sorted(by_reason.items(), key=lambda item: (-len(item[1]), item[0]))


def conformance(folder: Path = FOLDER) -> list[str]:
    """The page's parts."""
    suites = [msgspec.json.decode(file.read_bytes(), type=SuiteResults) for file in sorted(folder.glob("*.json"))]
    rows = [(f"[{s.title}](#{_anchor(s.title)})", len(s.tests), *s.counts().values(), s.version, s.day) for s in suites]
    parts = [
        "Results of test suites of other projects, from the files that `make conformance` wrote. How they are run, and what "
        "is not implemented: [conformance](../explanation/conformance.md). A skipped test is not a passed one; a test that could "
        "not be set up counts as failed.",
        table(("suite", "tests", *KINDS, "version", "run on"), rows),
    ]
    for suite in suites:
        parts += [f"## {suite.title}", f"Against `{suite.cloud}`."]
        for kind in ("failed", "skipped"):
            reasons = [(len(names), why, _named(names)) for why, names in suite.reasons(kind)]
            parts += [table((kind, "reason", "tests"), reasons)] if reasons else []
    return parts


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def _reason(why: str) -> str:
    text = re.sub(r"\s+", " ", why).strip()
    for pattern, shown in ALIKE:
        text = pattern.sub(shown, text)
    text = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
    return f"`{text.replace('`', chr(39))}`" if text else "none given"


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{'.'.join(name.split('.')[-2:])}`" for name in names[:NAMED])
    return shown if len(names) <= NAMED else f"{shown} and {len(names) - NAMED} more"


def _anchor(title: str) -> str:
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
