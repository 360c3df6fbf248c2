"""A picture of what a command printed on a terminal: `script -c 'make launch' launch.txt`, then
`python -m tools.terminal_picture launch.txt docs/tutorials/make-launch.svg 'make launch' --until 'Where to go next'`."""

from __future__ import annotations

import argparse
import io
import re
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDTH = 96
FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)  # of another site; the reader's own will do


def lines(raw: str, until: str | None) -> list[str]:
    """The lines as they stood at the end: of a line that was drawn again and again, its last state."""
    kept: list[str] = []
    for line in raw.replace("\r\n", "\n").split("\n"):
        if line.startswith(("Script started", "Script done")):
            continue
        if until is not None and until in line:
            break
        last = "" if "\x1b[2K" in line else line.split("\r")[-1]
        if Text.from_ansi(last).plain.strip() or (kept and kept[-1]):  # one empty line at most
            kept.append(last if Text.from_ansi(last).plain.strip() else "")
    return kept


def picture(raw: str, title: str, until: str | None) -> str:
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, highlight=False)
    console.print(f"[bold green]$[/bold green] {title}")
    for line in lines(raw, until):
        console.print(Text.from_ansi(line), overflow="crop", no_wrap=True)
    svg = console.export_svg(title=title, unique_id="terminal")
    return FONTS.sub("", svg)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recorded", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("title")
    parser.add_argument("--until", help="leave out the first line with this text, and what follows")
    given = parser.parse_args()
    given.out.write_text(picture(given.recorded.read_text(), given.title, given.until))
