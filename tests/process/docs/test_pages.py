"""Pages are true: commands in blocks marked `% tested` print what the page shows; files that pages name exist."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kilonova.testing.engines import free_port

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
MADE = {page.stem for page in (DOCS / "reference").glob("*.md")} - {"numbers"}
PAGES = [
    *ROOT.glob("*.md"),
    *(page for page in DOCS.rglob("*.md") if "_build" not in page.parts and page.stem not in MADE),
]
BLOCK = re.compile(r"^% tested(?:: ([^\n]+))?\n```console\n(.*?)^```$|^% prepare: (.+?)$", re.M | re.S)
FILE = re.compile(
    r"`((?:[\w.*-]+/)*[a-z_*][\w.*-]*\.(?:py|sh)|(?:[\w.*-]+/)+[\w.*-]+\.(?:cfg|conf|toml|md))(?:::\w+)?`"
)
END = "@@ command ended"
CLIENT = ROOT / os.environ.get("CLIENT", ".venv-client") / "bin"


def steps(page: str) -> Iterator[tuple[str, list[str]]]:
    """(command, lines of its output as the page shows them), in all tested blocks of the page, and what prepares them."""
    for changes, block, prepares in BLOCK.findall(page):
        if prepares:
            yield prepares, []
        for old, new in (change.split("=") for change in changes.split()):
            block = block.replace(old, new)
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, *shown = part.strip().split("\n")
            yield re.sub(r"\s+# .*", "", command), shown


def lacks(output: str, shown: list[str]) -> list[str]:
    """Lines that the output does not have in this order, apart from spaces; … stands for any text."""
    left = (" ".join(line.split()) for line in output.splitlines())
    patterns = {line: ".*".join(re.escape(text) for text in " ".join(line.split()).split("…")) for line in shown}
    return [line for line, pattern in patterns.items() if not any(re.fullmatch(pattern, found) for found in left)]


@pytest.fixture
def shell_env(tmp_path: Path) -> dict[str, str]:
    """Of a user whose cloud is in a folder of its own, on a port of its own."""
    (tmp_path / "kilonova.toml").touch()
    return {name: value for name, value in os.environ.items() if not name.startswith(("OS_", "KILONOVA_"))} | {
        "PATH": f"{CLIENT}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "KILONOVA_CLOUD_STATE_DIR": str(tmp_path / "state"),
        "KILONOVA_CLOUD_PORT": str(free_port()),
        "PYTHONWARNINGS": "ignore",
        "COLUMNS": "200",
    }


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", [page for page in PAGES if BLOCK.search(page.read_text())], ids=lambda page: page.stem)
def test_the_commands_of_a_page_print_what_it_shows(page: Path, shell_env: dict[str, str], tmp_path: Path) -> None:
    wanted = list(steps(page.read_text().replace("8774", shell_env["KILONOVA_CLOUD_PORT"])))
    if any("openstack" in command for command, _ in wanted) and not (CLIENT / "openstack").exists():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"no client in {CLIENT}: `make client` installs it")
    script = "".join(f"{command}\necho '{END}'\n" for command, _ in wanted)
    try:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=tmp_path,
            env=shell_env,
            capture_output=True,
            text=True,
            timeout=500,
        )
    finally:
        subprocess.run(["kilonova", "down"], cwd=tmp_path, env=shell_env, capture_output=True, timeout=60, check=False)
    outputs = done.stdout.split(f"{END}\n")
    assert done.returncode == 0, f"{wanted[len(outputs) - 1][0]}\n{outputs[-1]}\n{done.stderr}"
    for (command, shown), output in zip(wanted, outputs, strict=False):
        assert lacks(output, shown) == [], f"{command}\n{output}"


def test_a_page_with_another_output_is_found() -> None:
    assert lacks("a: 1, 2\nb", ["a: …", "b"]) == []
    assert lacks("a: 1, 2\nb", ["b", "a: …"]) == ["a: …"]
    assert list(steps("% tested: X=Y\n```console\n$ show X   # now\nX is 1\n$ end\n```\n")) == [
        ("show Y", ["Y is 1"]),
        ("end", []),
    ]


def test_files_that_pages_name_exist() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    files = [f"/{path}" for path in tracked.stdout.split()]
    names = {(page.relative_to(ROOT), name) for page in PAGES for name in FILE.findall(page.read_text())}
    assert len(names) > 50
    assert [f"{page}: {name}" for page, name in sorted(names) if not any(_names(name, file) for file in files)] == []


def _names(name: str, file: str) -> bool:
    """Whether a page's `name` is the file's; SERVICE, NAME and * stand for any."""
    return re.search("/" + re.sub(r"[A-Z]{3,}|\\\*", "[^/]*", re.escape(name)) + "$", file) is not None


def test_links_of_pages_outside_of_the_site_lead_to_files() -> None:
    """Sphinx checks those of the site."""
    links = {(page, link) for page in ROOT.glob("*.md") for link in re.findall(r"\]\(([^):#]+)[)#]", page.read_text())}
    assert len(links) > 5
    assert [f"{page.name}: {link}" for page, link in sorted(links) if not (page.parent / link).exists()] == []


def test_names_that_checklists_use_exist() -> None:
    """Classes, tables and entry-point groups; words in capitals alone (NAME, KIND …) stand for the reader's own."""
    words = set()
    for path in [*ROOT.glob("src/**/*.py"), *ROOT.glob("tests/**/*.py"), ROOT / "pyproject.toml"]:
        words.update(re.findall(r"\w+", path.read_text()))
    text = (DOCS / "contributing" / "checklists.md").read_text()
    named = set(re.findall(r"`(?:@|\w+\.)?((?:[A-Z][a-z]+){2,}|[A-Z]+S|[A-Z]+_[A-Z]+|[a-z]+_[a-z_]+)`", text))
    assert len(named) > 20
    assert named - words == set()
