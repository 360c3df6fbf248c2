"""How the documentation is built: `make docs`. The pages of `reference/` that the program itself knows best are written
anew by `tools/make_reference.py` at each build."""

from __future__ import annotations

from pathlib import Path

from sphinx.application import Sphinx
from tools.make_reference import write_reference

import kilonova

project = "Kilonova"
version = release = kilonova.__version__
extensions = ["myst_parser", "sphinx_copybutton"]
html_theme = "furo"
html_title = "Kilonova"
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}
root_doc = "index"
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = False


def _write(app: Sphinx) -> None:
    write_reference(Path(app.srcdir) / "reference")


def setup(app: Sphinx) -> None:
    app.connect("builder-inited", _write)
